import type { BlockOp, BlockRequest } from '../block/request.ts';
import { OP_FLUSH, OP_READ, OP_TRIM } from '../block/request.ts';
import { NO_COPY } from './copies.ts';
import { FRAGMENTS_MAX } from './limits.ts';

/** Not linked into the resend queue and not sent. */
export const FRAGMENT_IDLE = 0;
/** At least one copy is waited for. */
export const FRAGMENT_SENT = 1;
/** All copies are taken for lost; stands in its target's resend queue. */
export const FRAGMENT_RESEND = 2;

/**
 * A piece of a request that travels in one frame. Cut at send time, so that a changed payload size takes effect at once. One that
 * must be resent in smaller frames travels in several, one after another: so it never needs what others may hold.
 */
export class Fragment {
  request: BlockRequest | undefined = undefined;
  op: BlockOp = OP_READ;
  lba = 0;
  sectors = 0;
  /** Sectors that follow these once they are answered: it was cut for larger frames than its path takes now. */
  rest = 0;
  /** Arena offset of its data, in one chunk. */
  offset = 0;
  state = FRAGMENT_IDLE;
  /** Newest copy; older ones hang behind it. */
  copies = NO_COPY;
  copyCount = 0;
  /** Copies that were taken for lost: each makes the next one wait twice as long. */
  losses = 0;
  shortReplies = 0;
  next: Fragment | undefined = undefined;
}

/** Takes a disk's time, not the network's. */
export function isSlow({ op }: Fragment): boolean {
  return op === OP_FLUSH || op === OP_TRIM;
}

/** A fixed number of fragments, made at start. */
export class FragmentPool {
  readonly capacity: number;
  #free: Fragment | undefined = undefined;
  free = 0;

  constructor(capacity = FRAGMENTS_MAX) {
    this.capacity = capacity;
    for (let made = 0; made < capacity; made++) this.give(new Fragment());
  }

  take(): Fragment | undefined {
    const fragment = this.#free;
    if (fragment === undefined) return undefined;
    this.#free = fragment.next;
    this.free--;
    fragment.next = undefined;
    fragment.state = FRAGMENT_IDLE;
    fragment.copies = NO_COPY;
    fragment.copyCount = 0;
    fragment.rest = 0;
    fragment.losses = 0;
    fragment.shortReplies = 0;
    return fragment;
  }

  give(fragment: Fragment): void {
    fragment.request = undefined;
    fragment.next = this.#free;
    this.#free = fragment;
    this.free++;
  }
}

/** Fragments to be sent again, oldest first. */
export class FragmentQueue {
  #head: Fragment | undefined = undefined;
  #tail: Fragment | undefined = undefined;
  length = 0;

  get head(): Fragment | undefined {
    return this.#head;
  }

  push(fragment: Fragment): void {
    fragment.next = undefined;
    if (this.#tail === undefined) this.#head = fragment;
    else this.#tail.next = fragment;
    this.#tail = fragment;
    this.length++;
  }

  /** Puts a fragment first. */
  unshift(fragment: Fragment): void {
    fragment.next = this.#head;
    this.#head = fragment;
    this.#tail ??= fragment;
    this.length++;
  }

  shift(): Fragment | undefined {
    const fragment = this.#head;
    if (fragment === undefined) return undefined;
    this.#head = fragment.next;
    if (this.#head === undefined) this.#tail = undefined;
    fragment.next = undefined;
    this.length--;
    return fragment;
  }

  remove(fragment: Fragment): void {
    let previous: Fragment | undefined;
    for (let at = this.#head; at !== undefined; previous = at, at = at.next) {
      if (at !== fragment) continue;
      if (previous === undefined) this.#head = at.next;
      else previous.next = at.next;
      if (this.#tail === at) this.#tail = previous;
      at.next = undefined;
      this.length--;
      return;
    }
  }
}
