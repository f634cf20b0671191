import type { Arena } from '../buffers/arena.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import { pushRange } from './ranges.ts';

/** A fixed piece of the arena that received bytes stand in until they are read: `start` to `start + length`. */
export class ReceiveWindow {
  readonly arena: Arena;
  readonly #base: number;
  readonly #capacity: number;
  /** Arena offset of the first unread byte. */
  start: number;
  /** Unread bytes. */
  length = 0;

  constructor(arena: Arena, base: number, capacity: number) {
    this.arena = arena;
    this.#base = base;
    this.#capacity = capacity;
    this.start = base;
  }

  /** Starts with bytes that somebody else has received, at most the window's capacity. */
  preload(bytes: Uint8Array): void {
    this.arena.bytes.set(bytes, this.#base);
    this.start = this.#base;
    this.length = bytes.length;
  }

  /** A copy of what is unread. */
  unread(): Uint8Array {
    return this.arena.bytes.slice(this.start, this.start + this.length);
  }

  /** Marks the first `bytes` unread bytes as read. */
  skip(bytes: number): void {
    this.start += bytes;
    this.length -= bytes;
  }

  /** Appends room for at most `aheadBytes` more to the vector. What is unread moves to the front first: less than a header, mostly. */
  offer(vector: IoVector, aheadBytes: number): void {
    if (this.start !== this.#base) {
      this.arena.bytes.copyWithin(this.#base, this.start, this.start + this.length);
      this.start = this.#base;
    }
    const roomBytes = Math.min(aheadBytes, this.#capacity - this.length);
    if (roomBytes > 0) pushRange(vector, this.start + this.length, roomBytes);
  }

  /** The first `bytes` of the room that was offered have been filled. */
  received(bytes: number): void {
    this.length += bytes;
  }
}
