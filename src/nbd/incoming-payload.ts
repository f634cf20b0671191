import type { BlockRequest } from '../block/request.ts';
import type { ChunkPool } from '../buffers/chunk-pool.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import { pushChain } from './ranges.ts';
import type { ReceiveWindow } from './receive-window.ts';

/**
 * The bytes behind the header of a write, of which at most one is coming in at a time: into the chunks of its request, or, when
 * the write is refused, into nothing. Part of them stands in the receive window already; the rest can go to its place directly.
 */
export class IncomingPayload {
  readonly #chunks: ChunkPool;
  #active = false;
  #request: BlockRequest | undefined = undefined;
  #sizeBytes = 0;
  #doneBytes = 0;

  /** What a refused write is to be answered with when its payload is through. */
  error = 0;
  cookieHigh = 0;
  cookieLow = 0;

  constructor(chunks: ChunkPool) {
    this.#chunks = chunks;
  }

  /** A payload has been begun and not ended, though all of its bytes may be there. */
  get active(): boolean {
    return this.#active;
  }

  /** The write that the payload belongs to; undefined when it is refused. */
  get request(): BlockRequest | undefined {
    return this.#request;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Expects the payload of an accepted write, whose chunks hold `sizeBytes`. */
  accept(request: BlockRequest, sizeBytes: number): void {
    this.#begin(sizeBytes);
    this.#request = request;
  }

  /** Expects the payload of a write that is refused with `error`. */
  discard(sizeBytes: number, error: number, cookieHigh: number, cookieLow: number): void {
    this.#begin(sizeBytes);
    this.#refuse(error, cookieHigh, cookieLow);
  }

  /** Refuses the write after all; its request is the caller's again, and what is still to come of the payload goes into nothing. */
  abandon(request: BlockRequest, error: number): void {
    this.#refuse(error, request.cookieHigh, request.cookieLow);
  }

  end(): void {
    this.#active = false;
    this.#request = undefined;
  }

  /** Appends where the rest goes directly; false when the vector can't take all of it. Nothing when the rest is thrown away. */
  offer(vector: IoVector): boolean {
    const request = this.#request;
    return request === undefined || pushChain(vector, this.#chunks, request.chunk, this.#doneBytes, this.#sizeBytes);
  }

  /** Of `bytes` just received, how many went to where `offer` said. */
  received(bytes: number): number {
    if (this.#request === undefined) return 0;
    const directBytes = Math.min(bytes, this.#sizeBytes - this.#doneBytes);
    this.#doneBytes += directBytes;
    return directBytes;
  }

  /**
   * Takes what stands in the window; true when the payload is whole. That is the beginning of the payload, because what comes
   * later has gone to its place directly, and it fits into the first chunk, because a window is smaller.
   */
  takeFrom(input: ReceiveWindow): boolean {
    const takenBytes = Math.min(input.length, this.#sizeBytes - this.#doneBytes);
    if (takenBytes > 0) {
      if (this.#request !== undefined) {
        const target = this.#chunks.offset(this.#request.chunk) + this.#doneBytes;
        input.arena.bytes.copyWithin(target, input.start, input.start + takenBytes);
      }
      input.skip(takenBytes);
      this.#doneBytes += takenBytes;
    }
    return this.#doneBytes === this.#sizeBytes;
  }

  #begin(sizeBytes: number): void {
    this.#active = true;
    this.#sizeBytes = sizeBytes;
    this.#doneBytes = 0;
  }

  #refuse(error: number, cookieHigh: number, cookieLow: number): void {
    this.#request = undefined;
    this.error = error;
    this.cookieHigh = cookieHigh;
    this.cookieLow = cookieLow;
  }
}
