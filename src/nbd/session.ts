import type { BlockDevice } from '../block/device.ts';
import type { RequestPool } from '../block/request.ts';
import type { Arena } from '../buffers/arena.ts';
import type { ChunkPool } from '../buffers/chunk-pool.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import type { ChunkFloors } from './chunk-floors.ts';
import { ChunkShare } from './chunk-share.ts';
import { newNbdCounters, type NbdCounters } from './counters.ts';
import type { ExportDirectory } from './export.ts';
import { REPLY_BYTES } from './layout.ts';
import { IN_FLIGHT_MAX, NEGOTIATION_OUTPUT_BYTES, RECEIVE_BYTES } from './limits.ts';
import { Negotiation } from './negotiation.ts';
import type { NbdLog, Phase } from './phase.ts';
import { ReceiveWindow } from './receive-window.ts';
import { ReplyQueue } from './reply-queue.ts';
import { payloadBytesMaxOf, Transmission } from './transmission.ts';

/** Memory of the arena that each session owns: received bytes, an answer of the negotiation, reply headers. */
export const STAGING_BYTES = RECEIVE_BYTES + NEGOTIATION_OUTPUT_BYTES + IN_FLIGHT_MAX * REPLY_BYTES;

export interface NbdSessionOptions {
  readonly arena: Arena;
  readonly chunks: ChunkPool;
  readonly requests: RequestPool;
  /** Arena offset of STAGING_BYTES that are this session's alone, until `peerClosed` has been called. */
  readonly stagingOffset: number;
  /** What a client may negotiate for. Either this or `device`. */
  readonly directory?: ExportDirectory;
  /** Starts in the transmission phase with this device: for a socket whose other end is the kernel. */
  readonly device?: BlockDevice;
  /** What another process has received of this connection and not taken as requests: at most RECEIVE_BYTES. The session starts frozen. */
  readonly unread?: Uint8Array;
  readonly readOnly?: boolean;
  /** Chunks that this session may hold at once; the whole pool unless given. Bounds the largest read or write, too. */
  readonly chunksMax?: number;
  /** What is kept for each session that uses the same chunks; nothing unless given. */
  readonly floors?: ChunkFloors;
  /** Counts into these, to be shared between sessions; into its own unless given. */
  readonly counters?: NbdCounters;
  readonly log?: NbdLog;
}

export type NbdSessionState = 'negotiation' | 'transmission' | 'closed';

/**
 * The server's side of one NBD connection, without any I/O: the caller has the socket and moves bytes between it and the arena.
 *
 * Receiving: `fillReceive`, receive into the ranges, `received`, with nothing in between. Sending: `fillTransmit`, send,
 * `transmitted`, until there is nothing to send. A session that asks for no bytes is waiting: for the socket to take its replies,
 * or, when `paused`, for chunks and requests; call `fillReceive` again when some have become free. When `finished`, or when
 * the socket fails, close the socket and call `peerClosed`.
 *
 * Payload of writes is received straight into the chunks of their request, and payload of reads is sent from them.
 */
export class NbdSession {
  readonly counters: NbdCounters;
  readonly #options: NbdSessionOptions;
  readonly #log: NbdLog;
  readonly #share: ChunkShare;
  readonly #input: ReceiveWindow;
  /** The phase that the session is in; the other one is undefined or past. */
  #phase: Phase;
  #negotiation: Negotiation | undefined = undefined;
  #transmission: Transmission | undefined = undefined;
  #closed = false;

  constructor(options: NbdSessionOptions) {
    this.#options = options;
    this.counters = options.counters ?? newNbdCounters();
    this.#log = options.log ?? ignore;
    this.#share = new ChunkShare(options.chunks, options.chunksMax ?? options.chunks.capacity, options.floors);
    this.#input = new ReceiveWindow(options.arena, options.stagingOffset, RECEIVE_BYTES);
    if (options.device !== undefined) this.#phase = this.#transmission = this.#transmissionWith(options.device);
    else if (options.directory !== undefined) this.#phase = this.#negotiation = this.#negotiationWith(options.directory);
    else throw new Error('an NBD session needs a directory to choose from, or a device to serve at once');
    if (options.unread === undefined) return;
    this.#input.preload(options.unread);
    this.freeze();
  }

  get state(): NbdSessionState {
    if (this.#closed) return 'closed';
    return this.#transmission === undefined ? 'negotiation' : 'transmission';
  }

  /** The export in use, once one has been chosen. */
  get device(): BlockDevice | undefined {
    return this.#transmission?.device ?? this.#negotiation?.device;
  }

  /** The socket may be closed: the peer is gone or has said goodbye, everything it asked for is answered, or it can't be understood. */
  get finished(): boolean {
    return this.#closed || this.#phase.over;
  }

  /** The client has said that it is done (DISC), rather than just gone. */
  get saidGoodbye(): boolean {
    return this.#transmission?.saidGoodbye ?? false;
  }

  /** A request waits for chunks, requests or room for its reply. */
  get paused(): boolean {
    return this.#transmission?.paused ?? false;
  }

  /** Frozen, and all that was taken before has been answered to the last byte. */
  get drained(): boolean {
    return !this.#closed && (this.#transmission?.drained ?? false);
  }

  /** Requests not yet answered to the last byte. The device may still answer to a closed session until this is 0. */
  get inFlight(): number {
    return this.#transmission?.inFlight ?? 0;
  }

  /** Chunks held now, and the largest read or write that is taken. */
  get chunksHeld(): number {
    return this.#share.held;
  }

  get payloadBytesMax(): number {
    return payloadBytesMaxOf(this.#share);
  }

  /** Sets the vector to where the next bytes shall be received; to nothing while the session wants none. */
  fillReceive(vector: IoVector): void {
    vector.clear();
    if (this.#closed) return;
    this.#phase.advance();
    this.#phase.fillReceive(vector);
  }

  /** The first `bytes` of the ranges that `fillReceive` gave have been filled. Submits what is complete to the device. */
  received(bytes: number): void {
    if (!this.#closed) this.#phase.received(bytes);
  }

  /** Sets the vector to what shall be sent next; to nothing when all is out. */
  fillTransmit(vector: IoVector): void {
    vector.clear();
    if (!this.#closed) this.#phase.fillTransmit(vector);
  }

  /** The socket took the first `bytes` of what `fillTransmit` gave. */
  transmitted(bytes: number): void {
    if (this.#closed) return;
    this.#phase.transmitted(bytes);
    this.#enterTransmission();
  }

  /** Takes no further request, once in the transmission phase; what was begun goes on. */
  freeze(): void {
    this.#transmission?.freeze();
  }

  /** Goes on; call `fillReceive` then. */
  thaw(): void {
    this.#transmission?.thaw();
  }

  /** A copy of the bytes that have been received and not been looked at. */
  unread(): Uint8Array {
    return this.#input.unread();
  }

  /** The volume is being detached: new requests are refused with ESHUTDOWN, and when the old ones are answered the session is `finished`. */
  shutdown(): void {
    this.#phase.shutdown();
  }

  /** The socket is closed. Gives back everything but what the device has: that comes back when the device completes it. */
  peerClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#phase.close();
    this.#share.close();
  }

  /** Negotiation is over when an export has been chosen and the answer that says so is out. */
  #enterTransmission(): void {
    const negotiation = this.#negotiation;
    if (negotiation?.device === undefined || !negotiation.idle || negotiation.over) return;
    this.#phase = this.#transmission = this.#transmissionWith(negotiation.device);
    this.#negotiation = undefined;
    this.#phase.advance();
  }

  #negotiationWith(directory: ExportDirectory): Negotiation {
    return new Negotiation({
      directory,
      readOnly: this.#options.readOnly ?? false,
      input: this.#input,
      outputOffset: this.#options.stagingOffset + RECEIVE_BYTES,
      payloadBytesMax: this.payloadBytesMax,
      counters: this.counters,
      log: this.#log,
    });
  }

  #transmissionWith(device: BlockDevice): Transmission {
    const { arena, stagingOffset, requests, readOnly } = this.#options;
    const ring = stagingOffset + RECEIVE_BYTES + NEGOTIATION_OUTPUT_BYTES;
    return new Transmission({
      device,
      readOnly: readOnly ?? false,
      input: this.#input,
      replies: new ReplyQueue(arena, ring, IN_FLIGHT_MAX, this.#share),
      requests,
      share: this.#share,
      counters: this.counters,
      log: this.#log,
    });
  }
}

function ignore(): void {}
