import type { Arena } from '../buffers/arena.ts';
import { NO_CHUNK } from '../buffers/chunk-pool.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import type { ChunkShare } from './chunk-share.ts';
import { REPLY_BYTES } from './layout.ts';
import { pushChain, pushRange } from './ranges.ts';
import { encodeReply } from './transmission-codec.ts';

/**
 * Replies that wait to be sent, in order. Headers stand in a ring of the arena, data in the chunks it was read into; both stay
 * there until the last byte has been taken by the socket, in however many pieces.
 */
export class ReplyQueue {
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #ring: number;
  readonly #share: ChunkShare;
  readonly #chains: Int32Array;
  readonly #dataBytes: Int32Array;
  #head = 0;
  #length = 0;
  /** Bytes of the first reply that are out already. */
  #sentBytes = 0;

  /** `ring` is the arena offset of `capacity * REPLY_BYTES` bytes for the headers. */
  constructor(arena: Arena, ring: number, capacity: number, share: ChunkShare) {
    this.capacity = capacity;
    this.#arena = arena;
    this.#ring = ring;
    this.#share = share;
    this.#chains = new Int32Array(capacity);
    this.#dataBytes = new Int32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Queues a reply; the caller has seen that there is room. `chain` holds `dataBytes` and belongs to the queue from now on. */
  push(error: number, cookieHigh: number, cookieLow: number, chain = NO_CHUNK, dataBytes = 0): void {
    const slot = (this.#head + this.#length) % this.capacity;
    encodeReply(this.#arena.view, this.#ring + slot * REPLY_BYTES, error, cookieHigh, cookieLow);
    this.#chains[slot] = chain;
    this.#dataBytes[slot] = dataBytes;
    this.#length++;
  }

  /** Appends what is to be sent, as far as the vector has room. */
  fill(vector: IoVector): void {
    let sentBytes = this.#sentBytes;
    for (let waiting = 0; waiting < this.#length; waiting++) {
      const slot = (this.#head + waiting) % this.capacity;
      const header = this.#ring + slot * REPLY_BYTES;
      if (sentBytes < REPLY_BYTES && !pushRange(vector, header + sentBytes, REPLY_BYTES - sentBytes)) return;
      const dataSentBytes = Math.max(0, sentBytes - REPLY_BYTES);
      if (!pushChain(vector, this.#share.pool, this.#chains[slot], dataSentBytes, this.#dataBytes[slot])) return;
      sentBytes = 0;
    }
  }

  /** The socket took the next `bytes`; chunks of replies that are out whole are free again. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
    while (this.#length > 0 && this.#sentBytes >= REPLY_BYTES + this.#dataBytes[this.#head]) {
      this.#sentBytes -= REPLY_BYTES + this.#dataBytes[this.#head];
      this.#dropHead();
    }
  }

  /** Forgets everything: the peer is gone. */
  clear(): void {
    while (this.#length > 0) this.#dropHead();
    this.#sentBytes = 0;
  }

  #dropHead(): void {
    this.#share.release(this.#chains[this.#head], this.#dataBytes[this.#head]);
    this.#head = (this.#head + 1) % this.capacity;
    this.#length--;
  }
}
