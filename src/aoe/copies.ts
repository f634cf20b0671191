import type { Fragment } from './fragment.ts';
import type { Path } from './path.ts';
import { TAG_USER_SPACE } from './constants.ts';
import { COPIES_MAX } from './limits.ts';

/** No copy: ends lists, answers look-ups that find nothing. */
export const NO_COPY = -1;

/** The tag is not in use. */
export const COPY_FREE = 0;
/** Sent, counted in its path's window, waited for. */
export const COPY_IN_FLIGHT = 1;
/** Taken for lost; a late answer still completes its fragment. */
export const COPY_LOST = 2;
/** Its fragment is done. Only copies of writes stay: until answered or out of quarantine they may still change the medium. */
export const COPY_ZOMBIE = 3;

/** Bits of a tag that tell one initiator on a NIC from another: bit 31 and the claimed prefix below it. */
export const TAG_PREFIX_BITS = 7;
const PREFIX_SHIFT = 32 - TAG_PREFIX_BITS;
const COUNTER_MASK = (1 << PREFIX_SHIFT) - 1;
/** Values that `tagPrefix` may take (bit 31 is always set). */
export const TAG_PREFIXES = 1 << (TAG_PREFIX_BITS - 1);

/**
 * Every transmission that may still be answered, by tag. A tag is `1 | prefix (6) | counter (25)`; its low bits are the index into
 * these columns, so a reply finds its copy without a search. A tag whose slot is still taken is skipped, so live tags are unique.
 *
 * Columns instead of objects: this is touched for every frame in both directions.
 */
export class Copies {
  /** A power of two. */
  readonly capacity: number;
  readonly tag: Int32Array;
  readonly state: Uint8Array;
  readonly sentUs: Float64Array;
  /** Number of the frame among all sent on its path, for loss detection. */
  readonly sequence: Float64Array;
  /** Neighbours in the path's in-flight list, in order of sending. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** Next older copy of the same fragment. */
  readonly older: Int32Array;
  readonly fragment: (Fragment | undefined)[];
  readonly path: (Path | undefined)[];
  used = 0;
  #counter: number;
  readonly #prefix: number;
  readonly #slotMask: number;

  /** `prefix` is below TAG_PREFIXES and unique among the initiators of a network namespace; `start` is any random number. */
  constructor(prefix: number, start: number, capacity = COPIES_MAX) {
    this.capacity = capacity;
    this.tag = new Int32Array(capacity);
    this.state = new Uint8Array(capacity);
    this.sentUs = new Float64Array(capacity);
    this.sequence = new Float64Array(capacity);
    this.next = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.older = new Int32Array(capacity);
    this.fragment = new Array<Fragment | undefined>(capacity).fill(undefined);
    this.path = new Array<Path | undefined>(capacity).fill(undefined);
    this.#slotMask = capacity - 1;
    this.#prefix = TAG_USER_SPACE | (prefix << PREFIX_SHIFT) | 0;
    this.#counter = start & COUNTER_MASK;
  }

  /** Takes the next free tag; returns its index, or NO_COPY when only `spare` are left. The caller fills the columns. */
  take(spare = 0): number {
    if (this.used >= this.capacity - 1 - spare) return NO_COPY;
    let index: number;
    do {
      this.#counter = (this.#counter + 1) & COUNTER_MASK;
      index = this.#counter & this.#slotMask;
    } while (this.state[index] !== COPY_FREE);
    this.tag[index] = this.#prefix | this.#counter;
    this.used++;
    return index;
  }

  /** Index of the copy with this tag (as a signed 32-bit number), or NO_COPY. */
  find(tag: number): number {
    const index = tag & this.#slotMask;
    return this.tag[index] === tag && this.state[index] !== COPY_FREE ? index : NO_COPY;
  }

  /** Whether the copy's path waits for its answer now. */
  isWaitedFor(index: number): boolean {
    return this.state[index] === COPY_IN_FLIGHT;
  }

  free(index: number): void {
    this.state[index] = COPY_FREE;
    this.fragment[index] = undefined;
    this.path[index] = undefined;
    this.used--;
  }

  /** A tag that is never kept in the table, for frames whose answers are matched otherwise (query config). */
  looseTag(): number {
    this.#counter = (this.#counter + 1) & COUNTER_MASK;
    return this.#prefix | this.#counter;
  }
}

/** The bits of every tag made with `prefix`, shifted down: what a socket filter compares with the top TAG_PREFIX_BITS bits. */
export function tagFilterValue(prefix: number): number {
  return (1 << (TAG_PREFIX_BITS - 1)) | prefix;
}
