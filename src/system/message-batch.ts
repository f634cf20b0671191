import type { Arena } from '../buffers/arena.ts';
import {
  IOVEC_BYTES,
  IOVEC_LEN,
  MMSGHDR_BYTES,
  MMSGHDR_LEN,
  MSGHDR_FLAGS,
  MSGHDR_IOV,
  MSGHDR_IOVLEN,
  storeWord64,
} from './structs.ts';

const WORD = 4;

/**
 * Headers of several messages for one `recvmmsg` or `sendmmsg`: an array of `struct mmsghdr`, each with its own array of
 * `struct iovec`, laid out once in a region of the arena and then only touched where something changes.
 *
 * ```
 * regionOffset → | mmsghdr 0 | mmsghdr 1 | … | iovec 0.0 | iovec 0.1 | … | iovec 1.0 | …
 * ```
 *
 * The region belongs to the batch. The payload memory that the vectors name is the caller's, and must stay untouched only
 * during the call: the kernel copies frames out and in.
 */
export class MessageBatch {
  readonly count: number;
  readonly iovecsMax: number;
  readonly #words: Int32Array;
  readonly #arenaAddress: number;
  /**
   * Address of each header. The last element is no number, so that V8 keeps the numbers as objects that are made here once:
   * computed anew, each address would be an allocation per call, because it does not fit into 31 bits.
   */
  readonly #addresses: readonly (number | undefined)[];
  /** Word index of the first iovec, and words of one message's iovecs. */
  readonly #vectors: number;
  readonly #vectorsStride: number;

  /** Bytes of arena that a batch needs. */
  static sizeBytes(count: number, iovecsMax: number): number {
    return count * (MMSGHDR_BYTES + iovecsMax * IOVEC_BYTES);
  }

  /** `regionOffset` is a multiple of 8. Every message starts with `iovecsMax` empty vectors. */
  constructor(arena: Arena, regionOffset: number, count: number, iovecsMax: number) {
    const sizeBytes = MessageBatch.sizeBytes(count, iovecsMax);
    this.count = count;
    this.iovecsMax = iovecsMax;
    this.#arenaAddress = arena.address;
    const headersAddress = arena.address + regionOffset;
    this.#addresses = [...Array.from({ length: count }, (_, message) => headersAddress + message * MMSGHDR_BYTES), undefined];
    this.#words = new Int32Array(arena.bytes.buffer, regionOffset, sizeBytes / WORD);
    this.#words.fill(0);
    this.#vectors = (count * MMSGHDR_BYTES) / WORD;
    this.#vectorsStride = (iovecsMax * IOVEC_BYTES) / WORD;
    for (let message = 0; message < count; message++) {
      const vectorsAddress = headersAddress + count * MMSGHDR_BYTES + message * iovecsMax * IOVEC_BYTES;
      storeWord64(this.#words, (message * MMSGHDR_BYTES + MSGHDR_IOV) / WORD, vectorsAddress);
      this.setVectorCount(message, iovecsMax);
    }
  }

  /** Makes vector `k` of a message name `lengthBytes` bytes at `arenaOffset`. */
  setVector(message: number, k: number, arenaOffset: number, lengthBytes: number): void {
    const vector = this.#vectors + message * this.#vectorsStride + k * (IOVEC_BYTES / WORD);
    storeWord64(this.#words, vector, this.#arenaAddress + arenaOffset);
    this.#words[vector + IOVEC_LEN / WORD] = lengthBytes;
  }

  /** Changes the length of vector `k` and leaves its address: for headers that always stand in the same place. */
  setVectorLength(message: number, k: number, lengthBytes: number): void {
    this.#words[this.#vectors + message * this.#vectorsStride + k * (IOVEC_BYTES / WORD) + IOVEC_LEN / WORD] = lengthBytes;
  }

  /** How many of a message's vectors the kernel looks at. */
  setVectorCount(message: number, count: number): void {
    this.#words[(message * MMSGHDR_BYTES + MSGHDR_IOVLEN) / WORD] = count;
  }

  /** Bytes received into, or sent from, a message by the last call that reached it. */
  length(message: number): number {
    return this.#words[(message * MMSGHDR_BYTES + MMSGHDR_LEN) / WORD];
  }

  /** Flags of the last receive: MSG_TRUNC means that the frame was longer than the vectors. */
  flags(message: number): number {
    return this.#words[(message * MMSGHDR_BYTES + MSGHDR_FLAGS) / WORD];
  }

  /** Address of a message's header, to begin a call there; 0 (EFAULT) for one that the batch does not have. */
  addressOf(message: number): number {
    return this.#addresses[message] ?? 0;
  }
}
