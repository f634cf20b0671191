import type { Arena } from '../buffers/arena.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import { IOVEC_BYTES, IOVEC_LEN, storeWord64 } from './structs.ts';

const WORD = 4;
const STRIDE = IOVEC_BYTES / WORD;

/** An array of `struct iovec` in a region of the arena, refilled from an IoVector before each call. The region belongs to the table. */
export class IovecTable {
  readonly capacity: number;
  /** Address of the first iovec. */
  readonly address: number;
  readonly #words: Int32Array;
  readonly #arenaAddress: number;

  static sizeBytes(capacity: number): number {
    return capacity * IOVEC_BYTES;
  }

  /** `regionOffset` is a multiple of 8. The kernel takes at most 1024 (UIO_MAXIOV) vectors in a call. */
  constructor(arena: Arena, regionOffset: number, capacity: number) {
    this.capacity = capacity;
    this.address = arena.address + regionOffset;
    this.#arenaAddress = arena.address;
    this.#words = new Int32Array(arena.bytes.buffer, regionOffset, capacity * STRIDE);
    this.#words.fill(0);
  }

  /** Takes over the ranges of `vector`, as many as fit, and returns how many that is: a shorter transfer is a legal one. */
  fill(vector: IoVector): number {
    const count = vector.count < this.capacity ? vector.count : this.capacity;
    for (let index = 0; index < count; index++) {
      storeWord64(this.#words, index * STRIDE, this.#arenaAddress + vector.offsets[index]);
      this.#words[index * STRIDE + IOVEC_LEN / WORD] = vector.lengths[index];
    }
    return count;
  }
}
