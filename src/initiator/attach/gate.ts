import { setTimeout as sleep } from 'node:timers/promises';
import { RpcError } from '../../rpc/status.ts';

/** Lets work in; or none for a while, in which nothing changes. */
export class Gate {
  readonly #inside = new Set<Promise<unknown>>();
  #closed = '';

  /** Does the work. @throws RpcError UNAVAILABLE while the gate is closed */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== '') throw new RpcError('UNAVAILABLE', this.#closed);
    const working = work();
    this.#inside.add(working);
    try {
      return await working;
    } finally {
      this.#inside.delete(working);
    }
  }

  /**
   * Lets nothing more in, and waits for what is inside.
   * @param reason for those who come meanwhile
   * @returns whether all has ended within `patienceMs`
   */
  async close(reason: string, patienceMs: number): Promise<boolean> {
    this.#closed = reason;
    const ended = Promise.allSettled(this.#inside).then(() => true);
    return Promise.race([ended, sleep(patienceMs, false, { ref: false })]);
  }

  open(): void {
    this.#closed = '';
  }
}
