import type { Arena } from '../../src/buffers/arena.ts';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { COMMAND_READ, COMMAND_WRITE, REQUEST_MAGIC } from '../../src/nbd/constants.ts';
import { REQUEST_BYTES, REQUEST_COMMAND, REQUEST_COOKIE, REQUEST_LENGTH, REQUEST_OFFSET } from '../../src/nbd/layout.ts';
import type { NbdSession } from '../../src/nbd/session.ts';

const RANGES_MAX = 256;

/**
 * The client's side of an NBD session in the transmission phase, in the same arena: keeps requests in flight, reads and writes
 * in turn at random places, and takes every reply at once. Payload bytes are not touched. Allocates nothing.
 */
export class NbdLoad {
  /** Requests sent and answered. */
  sent = 0;
  readonly #session: NbdSession;
  readonly #arena: Arena;
  readonly #depth: number;
  readonly #blockBytes: number;
  readonly #blocks: number;
  readonly #vector = new IoVector(RANGES_MAX);
  readonly #header = new Uint8Array(REQUEST_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #random = 88_172_645;
  /** Of the request that is being sent: bytes that have gone, and its whole length; equal when there is none. */
  #gone = 0;
  #length = 0;

  /** `blockBytes` times `blocks` stays below 4 GiB. */
  constructor(session: NbdSession, arena: Arena, depth: number, blockBytes: number, blocks: number) {
    this.#session = session;
    this.#arena = arena;
    this.#depth = depth;
    this.#blockBytes = blockBytes;
    this.#blocks = blocks;
    this.#headerView.setUint32(0, REQUEST_MAGIC);
    this.#headerView.setUint32(REQUEST_LENGTH, blockBytes);
  }

  get answered(): number {
    return this.sent - this.#session.inFlight;
  }

  /** Sends requests until as many are in flight as there shall be. */
  send(): void {
    while (this.#session.inFlight < this.#depth) {
      this.#session.fillReceive(this.#vector);
      if (this.#vector.sizeBytes === 0) return;
      this.#session.received(this.#fill());
    }
  }

  /** Takes the replies. */
  receive(): void {
    for (this.#session.fillTransmit(this.#vector); this.#vector.sizeBytes > 0; this.#session.fillTransmit(this.#vector)) {
      this.#session.transmitted(this.#vector.sizeBytes);
    }
  }

  /** Puts the rest of one request into the vector's ranges, as far as there is room. @returns bytes */
  #fill(): number {
    if (this.#gone === this.#length) this.#next();
    const { bytes } = this.#arena;
    let filled = 0;
    for (let range = 0; range < this.#vector.count && this.#gone < this.#length; range++) {
      let room = this.#vector.lengths[range];
      let at = this.#vector.offsets[range];
      for (; room > 0 && this.#gone < REQUEST_BYTES; room--, filled++) bytes[at++] = this.#header[this.#gone++];
      const left = this.#length - this.#gone;
      const skipped = room < left ? room : left;
      this.#gone += skipped;
      filled += skipped;
    }
    return filled;
  }

  #next(): void {
    const write = (this.sent & 1) === 1;
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    this.#headerView.setUint16(REQUEST_COMMAND, write ? COMMAND_WRITE : COMMAND_READ);
    this.#headerView.setUint32(REQUEST_COOKIE, this.sent);
    this.#headerView.setUint32(REQUEST_OFFSET + 4, ((this.#random >>> 0) % this.#blocks) * this.#blockBytes);
    this.#length = REQUEST_BYTES + (write ? this.#blockBytes : 0);
    this.#gone = 0;
    this.sent++;
  }
}
