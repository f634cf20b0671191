import type { Arena, ArenaPlan } from '../buffers/arena.ts';
import { CONFIG_STRING_BYTES_MAX } from './constants.ts';
import { ARGUMENT, CONFIG_STRING, FRAME_BYTES_MIN } from './layout.ts';
import { RESERVE_FRAME_BYTES_MAX } from './reserve.ts';

/** Frames that one interface takes between two visits to the kernel. */
export const TRANSMIT_FRAMES = 256;
const CACHE_LINE_BYTES = 64;
const HEADER_STRIDE = CACHE_LINE_BYTES;
/** The longest argument that is made on the spot, a config string or a reserve list, in whole cache lines. */
const BODY_BYTES_MAX = Math.max(CONFIG_STRING + CONFIG_STRING_BYTES_MAX, RESERVE_FRAME_BYTES_MAX) - ARGUMENT;
const BODY_STRIDE = Math.ceil(BODY_BYTES_MAX / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;

/**
 * Frames the engine wants sent on one port, and where their answers' data belongs. The engine fills it, the port's driver (a packet
 * socket, or the simulated network) sends them in order and then tells the engine, which calls `reset`.
 *
 * A frame is a header of `headerLength` bytes (zero padded to the shortest Ethernet frame when it has no payload) and an optional
 * payload, which lies where the request's data lies: it is never copied here.
 */
export class TransmitBatch {
  readonly payloadOffset = new Int32Array(TRANSMIT_FRAMES);
  readonly payloadLength = new Int32Array(TRANSMIT_FRAMES);
  readonly headerLength = new Int32Array(TRANSMIT_FRAMES);
  /** For reads: where the answer's data belongs; else length 0. Valid while the copy has the frame's tag and is waited for. */
  readonly replyOffset = new Int32Array(TRANSMIT_FRAMES);
  readonly replyLength = new Int32Array(TRANSMIT_FRAMES);
  /** Index in Copies, or NO_COPY for frames whose answers are not matched by tag. */
  readonly copy = new Int32Array(TRANSMIT_FRAMES);
  count = 0;
  readonly #headers: number;
  readonly #bodies: number;

  /** Reserves this batch's part of an arena; the offset goes to the constructor. */
  static reserve(plan: ArenaPlan): number {
    return plan.reserve(TRANSMIT_FRAMES * (HEADER_STRIDE + BODY_STRIDE));
  }

  constructor(arena: Arena, offset: number) {
    this.#headers = offset;
    this.#bodies = offset + TRANSMIT_FRAMES * HEADER_STRIDE;
    arena.bytes.fill(0, offset, offset + TRANSMIT_FRAMES * HEADER_STRIDE);
  }

  get full(): boolean {
    return this.count === TRANSMIT_FRAMES;
  }

  get empty(): boolean {
    return this.count === 0;
  }

  /** Arena offset of frame `index`'s header. */
  header(index: number): number {
    return this.#headers + index * HEADER_STRIDE;
  }

  /** Arena offset of BODY_STRIDE bytes beside frame `index` for payloads made on the spot (trim ranges, config strings, reserve lists). */
  body(index: number): number {
    return this.#bodies + index * BODY_STRIDE;
  }

  /** Appends a frame without payload or reply data; the caller has written its header and sets more columns as it needs. */
  append(copy: number): number {
    const index = this.count++;
    this.headerLength[index] = FRAME_BYTES_MIN;
    this.payloadLength[index] = 0;
    this.replyLength[index] = 0;
    this.copy[index] = copy;
    return index;
  }

  /** Forgets all frames: they have been sent, or can't be. */
  reset(): void {
    this.count = 0;
  }
}
