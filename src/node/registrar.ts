import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeletRegistration } from '../csi/kubelet-registration.ts';
import type { Logger } from '../logging/logger.ts';
import type { Segments } from '../volumes/topology.ts';

const LOOK_MS = 5_000;

type Registration = Pick<KubeletRegistration, 'stop' | 'refusal'>;

export interface RegistrarOptions {
  readonly register: () => Promise<Registration>;
  /** Where the node is now. */
  readonly segments: () => Segments;
  readonly logger: Logger;
  /** Between two looks at where the node is; tests are in more of a hurry. */
  readonly lookMs?: number;
}

/** Keeps the driver registered with the kubelet, which asks only then where a node is: anew, when that has changed. */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #stopping = new AbortController();
  #registration: Registration | undefined;
  /** Undefined while it is not registered. */
  #told: Segments | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** @throws Error when it can't: this is no machine with a kubelet */
  async start(): Promise<void> {
    await this.#register();
    this.#ended = this.#keep();
  }

  /** Why the kubelet does not want the driver, until it takes it. */
  get refusal(): string | undefined {
    return this.#registration?.refusal;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
    await this.#registration?.stop();
  }

  async #register(): Promise<void> {
    const segments = this.#options.segments();
    this.#registration = await this.#options.register();
    this.#told = segments;
  }

  async #keep(): Promise<void> {
    const { segments, logger, lookMs = LOOK_MS } = this.#options;
    const { signal } = this.#stopping;
    let seen = this.#told;
    while (!signal.aborted) {
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
      const now = segments();
      // Seen twice: an interface that is gone for a moment makes no difference.
      const isSettled = isDeepStrictEqual(now, seen);
      seen = now;
      if (signal.aborted || !isSettled || isDeepStrictEqual(now, this.#told)) continue;
      const left = Object.keys(this.#told ?? {}).filter((key) => now[key] === undefined);
      // The kubelet adds labels to its node, and takes none away (kubernetes#96505).
      const labels = left.map((key) => `${key}-`).join(' ');
      const hint =
        left.length === 0 ? '' : `; pods may still be sent here for what it has left: kubectl label node NODE ${labels}`;
      logger.info(`this node is in another place now (${shown(now)}); the kubelet is told${hint}`);
      await this.#registration?.stop();
      this.#registration = undefined;
      this.#told = undefined;
      await this.#register().catch((error: unknown) => {
        logger.warn('cannot register with the kubelet; trying again', { err: error });
      });
    }
  }
}

function shown(segments: Segments): string {
  const all = Object.entries(segments).map(([key, value]) => `${key}=${value}`);
  return all.length === 0 ? 'no storage network' : all.join(', ');
}
