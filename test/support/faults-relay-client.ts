import type { FaultOptions } from '../../src/target/faults.ts';
import { eventually, type TestProcess } from './faults-process.ts';

/** What goes wrong between two hosts. */
export interface RelayFaults extends Pick<
  FaultOptions,
  'loss' | 'duplicate' | 'delayMs' | 'jitterMs' | 'dropLargeBytes' | 'seed'
> {
  /** Nothing comes through from one side, or from both. */
  readonly cut?: 'from left' | 'from right' | 'both';
}

/** faults-relay.ts in another process. */
export class RelayClient {
  readonly process: TestProcess;

  constructor(process: TestProcess) {
    this.process = process;
  }

  /** It forwards. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#setTimes(1, timeoutMs);
  }

  /** Other faults from now on. Frames that are on their way arrive as they would have. */
  async set(faults: RelayFaults): Promise<void> {
    const times = this.process.lines.length + 1;
    this.process.write(JSON.stringify(faults));
    await this.#setTimes(times, 2_000);
  }

  async #setTimes(times: number, timeoutMs: number): Promise<void> {
    await eventually('the relay to take its settings', timeoutMs, () => {
      if (!this.process.running) throw new Error(this.process.report);
      return this.process.lines.length >= times;
    });
  }
}
