/** Payload memory of requests: equal chunks of an arena, linked into chains. */

/** Chunk size. A frame's payload never crosses a chunk, so it is always one piece of memory. */
export const CHUNK_BYTES = 65_536;
/** Ends a chain; also "no chain". */
export const NO_CHUNK = -1;

/**
 * Hands out chains of chunks, all or nothing, last freed first (the cache is still warm there).
 * Chains are plain chunk numbers: `next(chunk)` walks them, `offset(chunk)` is where the bytes are.
 */
export class ChunkPool {
  readonly capacity: number;
  readonly #base: number;
  readonly #next: Int32Array;
  #freeHead: number;
  #freeCount: number;

  /** `base` is the arena offset of chunk 0; the pool owns `capacity * CHUNK_BYTES` bytes from there. */
  constructor(base: number, capacity: number) {
    this.capacity = capacity;
    this.#base = base;
    this.#next = new Int32Array(capacity);
    for (let chunk = 0; chunk < capacity; chunk++) this.#next[chunk] = chunk + 1 < capacity ? chunk + 1 : NO_CHUNK;
    this.#freeHead = capacity > 0 ? 0 : NO_CHUNK;
    this.#freeCount = capacity;
  }

  get free(): number {
    return this.#freeCount;
  }

  /** A chain that holds `sizeBytes` (at least one chunk), or NO_CHUNK when the pool has too few left. */
  allocate(sizeBytes: number): number {
    const count = sizeBytes <= CHUNK_BYTES ? 1 : Math.ceil(sizeBytes / CHUNK_BYTES);
    if (count > this.#freeCount) return NO_CHUNK;
    const first = this.#freeHead;
    let last = first;
    for (let taken = 1; taken < count; taken++) last = this.#next[last];
    this.#freeHead = this.#next[last];
    this.#next[last] = NO_CHUNK;
    this.#freeCount -= count;
    return first;
  }

  /** Returns a whole chain. NO_CHUNK is allowed and does nothing. */
  release(first: number): void {
    if (first === NO_CHUNK) return;
    let last = first;
    let count = 1;
    while (this.#next[last] !== NO_CHUNK) {
      last = this.#next[last];
      count++;
    }
    this.#next[last] = this.#freeHead;
    this.#freeHead = first;
    this.#freeCount += count;
  }

  next(chunk: number): number {
    return this.#next[chunk];
  }

  /** Arena offset of the chunk's first byte. */
  offset(chunk: number): number {
    return this.#base + chunk * CHUNK_BYTES;
  }
}
