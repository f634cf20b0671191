import { NO_CHUNK } from '../buffers/chunk-pool.ts';
import { STATUS_OK, type BlockStatus } from './status.ts';

/** What a block request asks for. */
export const OP_READ = 0;
export const OP_WRITE = 1;
export const OP_FLUSH = 2;
export const OP_TRIM = 3;
export const OP_WRITE_ZEROES = 4;

export type BlockOp = 0 | 1 | 2 | 3 | 4;

const OP_NAMES: Record<BlockOp, string> = {
  [OP_READ]: 'read',
  [OP_WRITE]: 'write',
  [OP_FLUSH]: 'flush',
  [OP_TRIM]: 'trim',
  [OP_WRITE_ZEROES]: 'write zeroes',
};

export function blockOpName(op: BlockOp): string {
  return OP_NAMES[op];
}

/** Whoever submitted a request and wants it back. */
export interface RequestOwner {
  /** The request has ended, with `request.status`; it and its chunks belong to the owner again. Must not throw. */
  completed(request: BlockRequest): void;
}

/**
 * One request for a range of sectors, the language that the NBD server and the AoE engine share (as `struct bio` is in Linux).
 * Objects are made once and reused: every field is overwritten by `RequestPool.take` or by the owner before it is submitted.
 *
 * Between `submit` and `completed` the device owns the request and the memory of its chunks.
 */
export class BlockRequest {
  op: BlockOp = OP_READ;
  /** The data must be on stable storage before the request completes (writes only). */
  fua = false;
  /** Write zeroes only: the range must stay allocated, so a trim is not an answer. */
  noHole = false;
  /** First sector, in units of 512 bytes. */
  lba = 0;
  /** Length in sectors; 0 for a flush. */
  sectors = 0;
  /** Chain of chunks that holds the data of a read or write, from the first byte of its first chunk; else NO_CHUNK. */
  chunk = NO_CHUNK;
  status: BlockStatus = STATUS_OK;
  owner: RequestOwner | undefined = undefined;

  /** The owner's: an NBD request's eight cookie bytes, opaque, in two signed halves. */
  cookieHigh = 0;
  cookieLow = 0;

  /** The device's, while it has the request. See src/aoe/. */
  nextSector = 0;
  cursorChunk = NO_CHUNK;
  sectorsDone = 0;
  fragmentsOut = 0;
  flushing = false;
  /** A write that is done again from its beginning. */
  repeated = false;
  /** For writes: which start of the target had its first part. For flushes: how many writes it covers. */
  mark = 0;

  /** Intrusive link of whatever queue the request stands in. */
  next: BlockRequest | undefined = undefined;
}

/** A fixed number of requests, made at start. */
export class RequestPool {
  readonly capacity: number;
  /** Requests taken so far, whether given back or not. */
  taken = 0;
  #free: BlockRequest | undefined = undefined;
  #freeCount: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#freeCount = capacity;
    for (let made = 0; made < capacity; made++) {
      const request = new BlockRequest();
      request.next = this.#free;
      this.#free = request;
    }
  }

  get free(): number {
    return this.#freeCount;
  }

  /** A request with `status` OK and no data, or undefined when all are in use. */
  take(): BlockRequest | undefined {
    const request = this.#free;
    if (request === undefined) return undefined;
    this.#free = request.next;
    this.#freeCount--;
    this.taken++;
    request.next = undefined;
    request.status = STATUS_OK;
    request.chunk = NO_CHUNK;
    request.fua = false;
    request.noHole = false;
    return request;
  }

  give(request: BlockRequest): void {
    request.owner = undefined;
    request.next = this.#free;
    this.#free = request;
    this.#freeCount++;
  }
}

/** First-in, first-out queue of requests through their own link. */
export class RequestQueue {
  #head: BlockRequest | undefined = undefined;
  #tail: BlockRequest | undefined = undefined;
  length = 0;

  get head(): BlockRequest | undefined {
    return this.#head;
  }

  push(request: BlockRequest): void {
    request.next = undefined;
    if (this.#tail === undefined) this.#head = request;
    else this.#tail.next = request;
    this.#tail = request;
    this.length++;
  }

  shift(): BlockRequest | undefined {
    const request = this.#head;
    if (request === undefined) return undefined;
    this.#head = request.next;
    if (this.#head === undefined) this.#tail = undefined;
    request.next = undefined;
    this.length--;
    return request;
  }

  /** Takes a request out of the middle; answers whether it was here. */
  remove(request: BlockRequest): boolean {
    let previous: BlockRequest | undefined;
    for (let at = this.#head; at !== undefined; previous = at, at = at.next) {
      if (at !== request) continue;
      if (previous === undefined) this.#head = at.next;
      else previous.next = at.next;
      if (this.#tail === at) this.#tail = previous;
      at.next = undefined;
      this.length--;
      return true;
    }
    return false;
  }
}
