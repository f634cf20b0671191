import type { ChunkShare } from './chunk-share.ts';

/**
 * How sessions share a pool of chunks: a floor is kept for each of them, and what one holds beyond its floor comes out of one common
 * part. A request that its device holds keeps its chunks: so devices that are silent for hours, with all that they may have, leave
 * every other session its floor.
 */
export class ChunkFloors {
  readonly #keptChunks: number;
  readonly #commonChunks: number;
  readonly #floorMax: number;
  readonly #shares = new Set<ChunkShare>();
  #floor: number;
  /** Held beyond their floors, by all together. */
  #beyond = 0;

  /**
   * @param capacity chunks of the pool
   * @param floorMax a session's floor, as long as there are not too many sessions for that
   * @param commonChunks at least what a session may hold: else its largest request would wait for ever
   */
  constructor(capacity: number, floorMax: number, commonChunks: number) {
    this.#keptChunks = capacity - commonChunks;
    this.#commonChunks = commonChunks;
    this.#floorMax = floorMax;
    this.#floor = Math.min(floorMax, this.#keptChunks);
  }

  /** Chunks that are kept for each session. */
  get floor(): number {
    return this.#floor;
  }

  open(share: ChunkShare): void {
    this.#shares.add(share);
    this.#deal();
  }

  /** What it still holds is not counted any more: it comes back soon. */
  close(share: ChunkShare): void {
    this.#shares.delete(share);
    this.#deal();
  }

  /** Whether who holds `held` may take `count` more. */
  allows(held: number, count: number): boolean {
    const beyond = this.#beyondFloor(held + count);
    return beyond === 0 || this.#beyond - this.#beyondFloor(held) + beyond <= this.#commonChunks;
  }

  /** An open share that held `before` holds `after` now. */
  moved(before: number, after: number): void {
    this.#beyond += this.#beyondFloor(after) - this.#beyondFloor(before);
  }

  #deal(): void {
    const sessions = Math.max(this.#shares.size, 1);
    this.#floor = Math.min(this.#floorMax, Math.floor(this.#keptChunks / sessions));
    this.#beyond = 0;
    for (const share of this.#shares) this.#beyond += this.#beyondFloor(share.held);
  }

  #beyondFloor(held: number): number {
    return held > this.#floor ? held - this.#floor : 0;
  }
}
