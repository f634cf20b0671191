import type { BlockDevice } from '../block/device.ts';
import {
  OP_FLUSH,
  OP_READ,
  OP_TRIM,
  OP_WRITE,
  OP_WRITE_ZEROES,
  type BlockOp,
  type BlockRequest,
  type RequestOwner,
  type RequestPool,
} from '../block/request.ts';
import { STATUS_OK } from '../block/status.ts';
import { CHUNK_BYTES, NO_CHUNK } from '../buffers/chunk-pool.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import type { ChunkShare } from './chunk-share.ts';
import * as nbd from './constants.ts';
import type { DropReason, NbdCounters } from './counters.ts';
import { errorValueOf } from './error-values.ts';
import { IncomingPayload } from './incoming-payload.ts';
import { REQUEST_BYTES } from './layout.ts';
import * as limits from './limits.ts';
import type { NbdLog, Phase, PhaseState } from './phase.ts';
import type { ReceiveWindow } from './receive-window.ts';
import { lbaOf, refusalOf, sectorsOf, SHUTTING_DOWN, type Refusal } from './refusal.ts';
import type { ReplyQueue } from './reply-queue.ts';
import { decodeRequest, RequestHeader } from './transmission-codec.ts';

export interface TransmissionOptions {
  readonly device: BlockDevice;
  readonly readOnly: boolean;
  readonly input: ReceiveWindow;
  readonly replies: ReplyQueue;
  readonly requests: RequestPool;
  readonly share: ChunkShare;
  readonly counters: NbdCounters;
  readonly log: NbdLog;
}

/**
 * The transmission phase: requests in, simple replies out, in the order in which the device completes them.
 *
 * The input is at one of three places: before a header, within the payload of an accepted write, or within the payload of a
 * refused one, which is thrown away. A header is taken only when everything its request needs is there (a place in the reply
 * ring, a BlockRequest, all chunks); else the phase is paused and asks for no more bytes. Nothing is held while waiting, so
 * sessions can't block each other by halves.
 */
export class Transmission implements Phase, RequestOwner {
  readonly device: BlockDevice;
  readonly payloadBytesMax: number;
  readonly #readOnly: boolean;
  readonly #input: ReceiveWindow;
  readonly #replies: ReplyQueue;
  readonly #requests: RequestPool;
  readonly #share: ChunkShare;
  readonly #counters: NbdCounters;
  readonly #log: NbdLog;
  readonly #payload: IncomingPayload;
  readonly #header = new RequestHeader();

  #state: PhaseState = 'open';
  #paused = false;
  #frozen = false;
  #shuttingDown = false;
  #closed = false;
  /** Requests that the device has. */
  #submitted = 0;

  #receiveAheadBytes = limits.RECEIVE_BYTES;

  constructor(options: TransmissionOptions) {
    this.device = options.device;
    this.#readOnly = options.readOnly;
    this.#input = options.input;
    this.#replies = options.replies;
    this.#requests = options.requests;
    this.#share = options.share;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#payload = new IncomingPayload(options.share.pool);
    this.payloadBytesMax = payloadBytesMaxOf(options.share);
  }

  get over(): boolean {
    if (this.#state === 'broken') return true;
    return (this.#state === 'ending' || this.#shuttingDown) && this.#submitted === 0 && this.#replies.length === 0;
  }

  get saidGoodbye(): boolean {
    return this.#state === 'ending';
  }

  /** A whole header waits for chunks, requests or room for replies. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Frozen, and everything that was taken before is answered to the last byte: nothing but the unread input is left. */
  get drained(): boolean {
    return this.#frozen && this.#state === 'open' && this.inFlight === 0;
  }

  /** Requests taken and not yet answered to the last byte. */
  get inFlight(): number {
    return this.#submitted + this.#replies.length + (this.#payload.active ? 1 : 0);
  }

  advance(): void {
    while (this.#state === 'open' && this.#takeNext());
  }

  fillReceive(vector: IoVector): void {
    if (this.#state !== 'open' || this.#paused) return;
    const payload = this.#payload;
    if (payload.active && (!payload.offer(vector) || vector.full)) return;
    const discarding = payload.active && payload.request === undefined;
    if (this.#frozen && !discarding) return;
    this.#input.offer(vector, discarding ? limits.RECEIVE_BYTES : this.#receiveAheadBytes);
  }

  received(bytes: number): void {
    const directBytes = this.#payload.active ? this.#payload.received(bytes) : 0;
    this.#input.received(bytes - directBytes);
    this.advance();
  }

  fillTransmit(vector: IoVector): void {
    this.#replies.fill(vector);
  }

  transmitted(bytes: number): void {
    this.#replies.sent(bytes);
    if (this.#paused) this.advance();
  }

  /** Called by the device, possibly from within `submit`. */
  completed(request: BlockRequest): void {
    this.#submitted--;
    if (this.#closed) this.#free(request);
    else this.#reply(request);
  }

  /** Takes no further request: only the rest of one whose payload is coming in. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
  }

  shutdown(): void {
    this.#shuttingDown = true;
    const request = this.#payload.request;
    if (request === undefined) return;
    this.#counters.refused[SHUTTING_DOWN.reason]++;
    this.#payload.abandon(request, SHUTTING_DOWN.error);
    this.#free(request);
  }

  close(): void {
    this.#closed = true;
    if (this.#submitted > 0) this.device.abandon(this);
    this.#replies.clear();
    const request = this.#payload.request;
    this.#payload.end();
    if (request !== undefined) this.#free(request);
  }

  /** Takes one step through the input; false when it needs more bytes, or resources, or is at its end. */
  #takeNext(): boolean {
    if (this.#payload.active) return this.#takePayload(this.#payload);
    return !this.#frozen && this.#takeHeader();
  }

  #takePayload(payload: IncomingPayload): boolean {
    if (!payload.takeFrom(this.#input)) return false;
    const request = payload.request;
    payload.end();
    if (request === undefined) {
      this.#replies.push(payload.error, payload.cookieHigh, payload.cookieLow);
    } else {
      this.#counters.bytes.written += payload.sizeBytes;
      this.#submit(request);
    }
    return true;
  }

  #takeHeader(): boolean {
    if (this.#input.length < REQUEST_BYTES) return false;
    const header = this.#header;
    if (!decodeRequest(this.#input.arena.view, this.#input.start, header)) {
      return this.#break('requestMagic', 'the bytes where a request should start are none');
    }
    if (header.command === nbd.COMMAND_DISCONNECT) {
      this.#state = 'ending';
      return false;
    }
    if (this.#submitted + this.#replies.length === this.#replies.capacity) return this.#pause();

    const refusal = this.#shuttingDown ? SHUTTING_DOWN : refusalOf(header, this.device, this.#readOnly, this.payloadBytesMax);
    return refusal === undefined ? this.#accept(header) : this.#refuse(header, refusal);
  }

  /** A client must not be answered while it still sends its payload: some take that for a reply to a request they never made. */
  #refuse(header: RequestHeader, refusal: Refusal): boolean {
    const payloadBytes = header.command === nbd.COMMAND_WRITE ? header.lengthBytes : 0;
    if (payloadBytes > limits.DRAIN_BYTES_MAX) {
      return this.#break('payloadTooLong', `a write announces ${payloadBytes} bytes, the limit is ${this.payloadBytesMax}`);
    }
    this.#takeHeaderBytes();
    this.#counters.refused[refusal.reason]++;
    const { cookieHigh, cookieLow } = header;
    if (payloadBytes > 0) this.#payload.discard(payloadBytes, refusal.error, cookieHigh, cookieLow);
    else this.#replies.push(refusal.error, cookieHigh, cookieLow);
    return true;
  }

  #accept(header: RequestHeader): boolean {
    const op = opOf(header.command);
    const hasData = op === OP_READ || op === OP_WRITE;
    const chain = hasData ? this.#share.allocate(header.lengthBytes) : NO_CHUNK;
    if (hasData && chain === NO_CHUNK) return this.#pause();
    const request = this.#requests.take();
    if (request === undefined) {
      this.#share.release(chain, header.lengthBytes);
      return this.#pause();
    }
    this.#takeHeaderBytes();

    request.op = op;
    // FUA on a read or a flush is legal and says nothing.
    request.fua = op !== OP_READ && op !== OP_FLUSH && (header.flags & nbd.FLAG_FUA) !== 0;
    request.noHole = (header.flags & nbd.FLAG_NO_HOLE) !== 0;
    request.lba = lbaOf(header);
    request.sectors = sectorsOf(header);
    request.chunk = chain;
    request.owner = this;
    request.cookieHigh = header.cookieHigh;
    request.cookieLow = header.cookieLow;
    this.#count(op);

    const large = op === OP_WRITE && header.lengthBytes >= limits.LARGE_WRITE_BYTES;
    this.#receiveAheadBytes = large ? limits.RECEIVE_BYTES_AFTER_LARGE_WRITE : limits.RECEIVE_BYTES;
    if (op === OP_WRITE) this.#payload.accept(request, header.lengthBytes);
    else this.#submit(request);
    return true;
  }

  #takeHeaderBytes(): void {
    this.#input.skip(REQUEST_BYTES);
    this.#paused = false;
  }

  #submit(request: BlockRequest): void {
    this.#submitted++;
    this.device.submit(request);
  }

  #reply(request: BlockRequest): void {
    const { op, status, cookieHigh, cookieLow, chunk, sectors } = request;
    if (status !== STATUS_OK) this.#counters.failed++;
    if (op === OP_READ && status === STATUS_OK) {
      const dataBytes = sectors * limits.BLOCK_BYTES_MIN;
      this.#counters.bytes.read += dataBytes;
      this.#requests.give(request);
      this.#replies.push(nbd.NBD_OK, cookieHigh, cookieLow, chunk, dataBytes);
    } else {
      this.#free(request);
      this.#replies.push(errorValueOf(status), cookieHigh, cookieLow);
    }
  }

  #free(request: BlockRequest): void {
    this.#share.release(request.chunk, request.sectors * limits.BLOCK_BYTES_MIN);
    this.#requests.give(request);
  }

  #count(op: BlockOp): void {
    const counts = this.#counters.requests;
    if (op === OP_READ) counts.read++;
    else if (op === OP_WRITE) counts.write++;
    else if (op === OP_FLUSH) counts.flush++;
    else if (op === OP_TRIM) counts.trim++;
    else counts.writeZeroes++;
  }

  #pause(): false {
    if (!this.#paused) this.#counters.pauses++;
    this.#paused = true;
    return false;
  }

  #break(reason: DropReason, detail: string): false {
    this.#state = 'broken';
    this.#counters.dropped[reason]++;
    this.#log({ kind: 'connectionDropped', reason, detail: `${this.device.name}: ${detail}` });
    return false;
  }
}

/** The largest read or write that can ever be served with this share of the chunks. */
export function payloadBytesMaxOf(share: ChunkShare): number {
  return Math.min(limits.PAYLOAD_BYTES_MAX, share.chunksMax * CHUNK_BYTES);
}

/** Of a command that `refusalOf` let pass. */
function opOf(command: number): BlockOp {
  switch (command) {
    case nbd.COMMAND_READ:
      return OP_READ;
    case nbd.COMMAND_WRITE:
      return OP_WRITE;
    case nbd.COMMAND_FLUSH:
      return OP_FLUSH;
    case nbd.COMMAND_TRIM:
      return OP_TRIM;
    default:
      return OP_WRITE_ZEROES;
  }
}
