import { CHUNK_BYTES, NO_CHUNK, type ChunkPool } from '../buffers/chunk-pool.ts';
import type { ChunkFloors } from './chunk-floors.ts';

/**
 * One session's part of the chunk pool: a client that never reads its replies, or never sends the rest of its payloads, can hold
 * this much memory and no more, so that the others go on.
 */
export class ChunkShare {
  readonly pool: ChunkPool;
  readonly chunksMax: number;
  /** Undefined where nobody else uses the pool, and when this session is over. */
  #floors: ChunkFloors | undefined;
  #held = 0;

  constructor(pool: ChunkPool, chunksMax: number, floors?: ChunkFloors) {
    this.pool = pool;
    this.chunksMax = Math.min(chunksMax, pool.capacity);
    this.#floors = floors;
    floors?.open(this);
  }

  /** Chunks out now. */
  get held(): number {
    return this.#held;
  }

  /** A chain that holds `sizeBytes` (> 0), or NO_CHUNK when the pool or the share has too few left. */
  allocate(sizeBytes: number): number {
    const count = chunksFor(sizeBytes);
    if (this.#held + count > this.chunksMax || this.#floors?.allows(this.#held, count) === false) return NO_CHUNK;
    const chain = this.pool.allocate(sizeBytes);
    if (chain !== NO_CHUNK) this.#hold(this.#held + count);
    return chain;
  }

  /** Gives back a chain that was allocated with the same `sizeBytes`. NO_CHUNK is allowed and does nothing. */
  release(chain: number, sizeBytes: number): void {
    if (chain === NO_CHUNK) return;
    this.pool.release(chain);
    this.#hold(this.#held - chunksFor(sizeBytes));
  }

  /** Nothing is allocated any more; nothing is kept for it. */
  close(): void {
    this.#floors?.close(this);
    this.#floors = undefined;
  }

  #hold(held: number): void {
    this.#floors?.moved(this.#held, held);
    this.#held = held;
  }
}

function chunksFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHUNK_BYTES);
}
