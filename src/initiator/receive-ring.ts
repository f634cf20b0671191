import { COPIES_MAX, FRAME_SECTORS_MAX } from '../aoe/limits.ts';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import type { Copies } from '../aoe/copies.ts';
import type { ReplyPlacement } from '../aoe/core.ts';
import { ATA_DATA, TAG } from '../aoe/layout.ts';
import type { Arena } from '../buffers/arena.ts';
import { MessageBatch } from '../system/message-batch.ts';
import type { PacketSocket } from '../system/packet-socket.ts';

/** Messages of the ring: more than answers can be expected at once. */
const RING = 1_024;
const RING_MASK = RING - 1;
/** Frames taken in one call. */
export const RECEIVE_FRAMES = 64;
const HEADER_STRIDE = 64;
const PAYLOAD_MAX = FRAME_SECTORS_MAX * SECTOR_BYTES;
/** A bounce buffer, with as much room before it, so that data which came in two parts can be joined in place. */
const BOUNCE_STRIDE = 2 * PAYLOAD_MAX;

const VECTOR_HEADER = 0;
const VECTOR_EXPECTED = 1;
const VECTOR_BOUNCE = 2;

/** No answer is expected in this place. */
const NO_TAG = 0;

/**
 * Receives frames so that data of reads lands where it belongs, without being touched again. Answers mostly come in the order the
 * questions were sent, so message k of the ring is told to put the data behind the headers at the place where the k-th expected
 * answer wants it. When another frame comes in that place, its data is carried over to where it belongs.
 *
 * ```
 * message:   headers (36) → header slot | expected data → its chunk | what is left → bounce buffer
 * ```
 *
 * Memory is only ever named here while its copy is waited for: `withdraw` takes it out as soon as the engine is done with it.
 */
export class ReceiveRing implements ReplyPlacement {
  readonly #arena: Arena;
  readonly #copies: Copies;
  readonly #messages: MessageBatch;
  readonly #headers: number;
  readonly #bounces: number;
  /** Expected answer of each place: its tag, and where its data belongs. */
  readonly #tagAt = new Int32Array(RING);
  readonly #copyAt = new Int32Array(RING);
  readonly #offsetAt = new Int32Array(RING);
  readonly #lengthAt = new Int32Array(RING);
  /** Place of each copy's expected answer, counted from the ring's beginning. */
  readonly #placeOf = new Float64Array(COPIES_MAX).fill(-1);
  /** The place of the next frame, and the first place where nothing is expected; both only grow. */
  #position = 0;
  #end = 0;
  /** Of the frames received last: where each one's data lies. */
  readonly #dataAt = new Int32Array(RECEIVE_FRAMES);
  #batchStart = 0;
  #disorder = false;
  /** Expectations on their way to other places. */
  readonly #keptCopy = new Int32Array(RING);
  readonly #keptTag = new Int32Array(RING);
  readonly #keptOffset = new Int32Array(RING);
  readonly #keptLength = new Int32Array(RING);

  static sizeBytes(): number {
    return MessageBatch.sizeBytes(RING, 3) + RING * HEADER_STRIDE + RECEIVE_FRAMES * BOUNCE_STRIDE;
  }

  constructor(arena: Arena, offset: number, copies: Copies) {
    this.#arena = arena;
    this.#copies = copies;
    this.#messages = new MessageBatch(arena, offset, RING, 3);
    this.#headers = offset + MessageBatch.sizeBytes(RING, 3);
    this.#bounces = this.#headers + RING * HEADER_STRIDE;
    for (let slot = 0; slot < RING; slot++) {
      this.#messages.setVector(slot, VECTOR_HEADER, this.#headers + slot * HEADER_STRIDE, ATA_DATA);
      this.#messages.setVector(slot, VECTOR_EXPECTED, 0, 0);
      this.#messages.setVector(slot, VECTOR_BOUNCE, this.#bounce(slot), PAYLOAD_MAX);
    }
  }

  /** A frame has gone out whose answer is expected next; `lengthBytes` of data belong at `offset` (0: no data). */
  expect(copy: number, tag: number, offset: number, lengthBytes: number): void {
    if (this.#end - this.#position >= RING - RECEIVE_FRAMES) return;
    this.#put(this.#end++, copy, tag, offset, lengthBytes);
  }

  withdraw(copy: number): void {
    const place = this.#placeOf[copy];
    if (place < this.#position) return;
    const slot = place & RING_MASK;
    if (this.#copyAt[slot] !== copy || this.#lengthAt[slot] === 0) return;
    this.#lengthAt[slot] = 0;
    this.#messages.setVectorLength(slot, VECTOR_EXPECTED, 0);
  }

  /** Takes the frames that have come; answers their number or a negative errno. Then look at each with `header` and so on. */
  receive(socket: PacketSocket): number {
    const first = this.#position & RING_MASK;
    const room = RING - first;
    const count = socket.receive(this.#messages, first, room < RECEIVE_FRAMES ? room : RECEIVE_FRAMES);
    if (count <= 0) return count;
    this.#batchStart = this.#position;
    this.#position += count;
    this.#carryOver(count);
    return count;
  }

  /** Arena offset of a received frame's headers. */
  header(frame: number): number {
    return this.#headers + ((this.#batchStart + frame) & RING_MASK) * HEADER_STRIDE;
  }

  /** Arena offset of the data behind its ATA headers. */
  data(frame: number): number {
    return this.#dataAt[frame];
  }

  /** Its length in bytes, headers included. */
  length(frame: number): number {
    return this.#messages.length((this.#batchStart + frame) & RING_MASK);
  }

  /** After the frames have been looked at: frees their places. What is still expected moves up when the order was not as foreseen. */
  finish(): void {
    const from = this.#batchStart;
    const end = this.#end;
    const kept = this.#disorder ? this.#collect(from, end) : 0;
    for (let place = from; place < this.#position; place++) this.#clear(place & RING_MASK);
    if (this.#end < this.#position) this.#end = this.#position;
    if (!this.#disorder) return;
    this.#disorder = false;
    let to = this.#position;
    for (let index = 0; index < kept && to < this.#position + RING - RECEIVE_FRAMES; index++) {
      this.#put(to++, this.#keptCopy[index], this.#keptTag[index], this.#keptOffset[index], this.#keptLength[index]);
    }
    this.#end = to;
    for (let place = to; place < end; place++) this.#clear(place & RING_MASK);
  }

  /** Copies the expectations that still hold out of the ring; answers their number. */
  #collect(from: number, end: number): number {
    let kept = 0;
    for (let place = from; place < end; place++) {
      const slot = place & RING_MASK;
      const copy = this.#copyAt[slot];
      if (this.#tagAt[slot] === NO_TAG || this.#copies.find(this.#tagAt[slot]) !== copy || this.#placeOf[copy] !== place)
        continue;
      if (!this.#copies.isWaitedFor(copy)) continue;
      this.#keptCopy[kept] = copy;
      this.#keptTag[kept] = this.#tagAt[slot];
      this.#keptOffset[kept] = this.#offsetAt[slot];
      this.#keptLength[kept] = this.#lengthAt[slot];
      kept++;
    }
    return kept;
  }

  /** Finds where each frame's data is; what lies in another answer's place goes to the bounce buffer before anything else moves. */
  #carryOver(count: number): void {
    const { view, bytes } = this.#arena;
    for (let frame = 0; frame < count; frame++) {
      const slot = (this.#batchStart + frame) & RING_MASK;
      const expected = this.#lengthAt[slot];
      const bounce = this.#bounce(slot);
      const known = this.#tagAt[slot] === view.getInt32(this.#headers + slot * HEADER_STRIDE + TAG);
      if (!known) this.#disorder = true;
      if (expected === 0) {
        this.#dataAt[frame] = bounce;
        continue;
      }
      if (known) {
        this.#dataAt[frame] = this.#offsetAt[slot];
        continue;
      }
      const offset = this.#offsetAt[slot];
      bytes.copyWithin(bounce - expected, offset, offset + expected);
      this.#dataAt[frame] = bounce - expected;
    }
  }

  #put(place: number, copy: number, tag: number, offset: number, lengthBytes: number): void {
    const slot = place & RING_MASK;
    this.#tagAt[slot] = tag;
    this.#copyAt[slot] = copy;
    this.#offsetAt[slot] = offset;
    this.#lengthAt[slot] = lengthBytes;
    if (copy >= 0) this.#placeOf[copy] = place;
    if (lengthBytes > 0) this.#messages.setVector(slot, VECTOR_EXPECTED, offset, lengthBytes);
    else this.#messages.setVectorLength(slot, VECTOR_EXPECTED, 0);
  }

  #clear(slot: number): void {
    this.#tagAt[slot] = NO_TAG;
    if (this.#lengthAt[slot] === 0) return;
    this.#lengthAt[slot] = 0;
    this.#messages.setVectorLength(slot, VECTOR_EXPECTED, 0);
  }

  #bounce(slot: number): number {
    return this.#bounces + (slot & (RECEIVE_FRAMES - 1)) * BOUNCE_STRIDE + PAYLOAD_MAX;
  }
}
