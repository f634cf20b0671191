import type { NodeRecord } from './records.ts';

/** A node says so often that it lives: often enough to be missed soon, seldom enough for a thousand nodes to write it. */
export const NODE_HEARTBEAT_MS = 60_000;
/** A node that has said nothing for so long is not asked to do anything, and what it saw is not believed: two beats and a half. */
export const NODE_SILENT_MS = 150_000;

/** Two clocks, in milliseconds: the machine's, since 1970, which may be wrong and may jump, and one that only goes forward. */
export interface Clocks {
  readonly wallMs: () => number;
  readonly steadyMs: () => number;
}

const CLOCKS: Clocks = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

interface Beat {
  readonly aliveAtMs: number;
  /** When it was noticed, by the steady clock. */
  readonly heardMs: number;
}

/**
 * Tells which nodes live: those whose time goes on, as measured by this process' own steady clock. So it makes no difference that
 * clocks of machines differ, or are set. Only of a node that is seen for the first time, or whose clock was set back, the two
 * clocks are compared; then at worst a live node is not counted on until its next beat, or a dead one is for as long as it takes
 * to be missed.
 */
export class Liveness {
  readonly #clocks: Clocks;
  readonly #beats = new Map<string, Beat>();

  constructor(clocks = CLOCKS) {
    this.#clocks = clocks;
  }

  /** Whether a node can be counted on now, by its record as it is now. */
  isAlive({ nodeId, aliveAtMs }: NodeRecord): boolean {
    const nowMs = this.#clocks.steadyMs();
    const heardMs = this.#heardMs(this.#beats.get(nodeId), aliveAtMs, nowMs);
    this.#beats.set(nodeId, { aliveAtMs, heardMs });
    return nowMs - heardMs < NODE_SILENT_MS;
  }

  #heardMs(last: Beat | undefined, aliveAtMs: number, nowMs: number): number {
    if (last?.aliveAtMs === aliveAtMs) return last.heardMs;
    if (last !== undefined && aliveAtMs > last.aliveAtMs) return nowMs;
    return nowMs - Math.max(0, this.#clocks.wallMs() - aliveAtMs);
  }
}
