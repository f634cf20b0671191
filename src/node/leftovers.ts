import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import type { NodeParts } from './node-parts.ts';
import type { NodeService } from './node-service.ts';

const LOOK_MS = 60_000;
/** A kubelet calls again after two minutes at the longest: as long as anybody does, this keeps out of the way of what it is told. */
const QUIET_MS = 180_000;

/**
 * Takes down what a stage that failed, or an unstage, has left, when nobody calls for it any more: a kubelet that was started anew does
 * not, nor one whose pod is gone. Until then the node's record says that the volume is staged here, and it can't be taken from here.
 */
export class Leftovers {
  readonly #state: NodeParts['state'];
  readonly #service: Pick<NodeService, 'calledMs' | 'takeDownLeft'>;
  readonly #logger: Logger;
  readonly #steadyMs: () => number;
  readonly #startedMs: number;
  readonly #stopping = new AbortController();
  /** What was last complained about, by address: said once. */
  readonly #complaints = new Map<string, string>();

  constructor(
    { state }: Pick<NodeParts, 'state'>,
    service: Pick<NodeService, 'calledMs' | 'takeDownLeft'>,
    logger: Logger,
    steadyMs = (): number => performance.now(),
  ) {
    this.#state = state;
    this.#service = service;
    this.#logger = logger.with({ component: 'leftovers' });
    this.#steadyMs = steadyMs;
    this.#startedMs = steadyMs();
  }

  start(): void {
    void this.#loop();
  }

  /** Begins nothing more. What is under way ends with the process, and is gone on with by the next. */
  stop(): void {
    this.#stopping.abort();
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.look();
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look; the others are made of these. Never throws. */
  async look(): Promise<void> {
    const left = this.#state.list().filter(({ phase, address }) => phase !== 'staged' && this.#isQuiet(address));
    await Promise.all(left.map(async ({ address }) => this.#takeDown(address)));
  }

  #isQuiet(address: string): boolean {
    const calledMs = Math.max(this.#startedMs, this.#service.calledMs(address));
    return this.#steadyMs() - calledMs >= QUIET_MS;
  }

  async #takeDown(address: string): Promise<void> {
    try {
      await this.#service.takeDownLeft(address, this.#logger);
      this.#complaints.delete(address);
    } catch (error) {
      const { message } = error as Error;
      if (this.#complaints.get(address) === message) return;
      this.#complaints.set(address, message);
      this.#logger.warn(`what is left of a volume can't be taken down yet: ${message}`, { target: address });
    }
  }
}
