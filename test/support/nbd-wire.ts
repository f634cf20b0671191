import { RequestPool } from '../../src/block/request.ts';
import { ArenaPlan, plainArena, type Arena } from '../../src/buffers/arena.ts';
import { CHUNK_BYTES, ChunkPool } from '../../src/buffers/chunk-pool.ts';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { RECEIVE_BYTES } from '../../src/nbd/limits.ts';
import { NbdSession, STAGING_BYTES, type NbdSessionOptions } from '../../src/nbd/session.ts';

export interface WireOptions {
  readonly chunks?: number;
  readonly requests?: number;
  readonly vectorCapacity?: number;
  /** What all memory holds before anything is received: nothing may depend on it. */
  readonly poison?: number;
}

/** Memory as a data path has it, and sessions whose socket is the test's own hand. */
export class NbdWire {
  readonly arena: Arena;
  readonly chunks: ChunkPool;
  readonly requests: RequestPool;
  readonly #vectorCapacity: number;
  readonly #stagingOffset: number;
  readonly #chunksOffset: number;

  constructor(options: WireOptions = {}) {
    const chunkCount = options.chunks ?? 64;
    const plan = new ArenaPlan();
    this.#chunksOffset = plan.reserve(chunkCount * CHUNK_BYTES);
    this.#stagingOffset = plan.reserve(STAGING_BYTES);
    this.arena = plainArena(plan.sizeBytes);
    this.arena.bytes.fill(options.poison ?? 0xa5);
    this.chunks = new ChunkPool(this.#chunksOffset, chunkCount);
    this.requests = new RequestPool(options.requests ?? 64);
    this.#vectorCapacity = options.vectorCapacity ?? 64;
  }

  session(options: Omit<NbdSessionOptions, 'arena' | 'chunks' | 'requests' | 'stagingOffset'>): NbdSession {
    const { arena, chunks, requests } = this;
    return new NbdSession({ arena, chunks, requests, stagingOffset: this.#stagingOffset, ...options });
  }

  /** Gives `bytes` to the session, at most `bytesPerCall` at a time; returns how many it wanted. */
  receive(session: NbdSession, bytes: Uint8Array, bytesPerCall = Infinity): number {
    const vector = new IoVector(this.#vectorCapacity);
    let taken = 0;
    while (taken < bytes.length) {
      session.fillReceive(vector);
      if (vector.count === 0) break;
      this.#checkRanges(vector, this.#stagingOffset + RECEIVE_BYTES);
      const now = Math.min(vector.sizeBytes, bytesPerCall, bytes.length - taken);
      let left = now;
      for (let index = 0; index < vector.count && left > 0; index++) {
        const lengthBytes = Math.min(left, vector.lengths[index]);
        const at = taken + now - left;
        this.arena.bytes.set(bytes.subarray(at, at + lengthBytes), vector.offsets[index]);
        left -= lengthBytes;
      }
      session.received(now);
      taken += now;
    }
    return taken;
  }

  /** Takes from the session what it wants to send, at most `bytesPerCall` at a time and `bytesMax` in all. */
  transmit(session: NbdSession, bytesPerCall = Infinity, bytesMax = Infinity): Buffer {
    const vector = new IoVector(this.#vectorCapacity);
    const pieces: Buffer[] = [];
    let taken = 0;
    while (taken < bytesMax) {
      session.fillTransmit(vector);
      if (vector.count === 0) break;
      this.#checkRanges(vector, this.#stagingOffset + STAGING_BYTES);
      const offered = Buffer.concat(
        Array.from({ length: vector.count }, (_, index) =>
          this.arena.bytes.slice(vector.offsets[index], vector.offsets[index] + vector.lengths[index]),
        ),
      );
      const now = Math.min(offered.length, bytesPerCall, bytesMax - taken);
      pieces.push(offered.subarray(0, now));
      session.transmitted(now);
      taken += now;
    }
    return Buffer.concat(pieces);
  }

  /** Sends and receives in turns until neither side has anything left; what the session sent. */
  exchange(session: NbdSession, bytes: Uint8Array, receiveBytes = Infinity, transmitBytes = Infinity): Buffer {
    const sent: Buffer[] = [];
    let taken = 0;
    for (;;) {
      const now = this.receive(session, bytes.subarray(taken), receiveBytes);
      taken += now;
      const out = this.transmit(session, transmitBytes);
      sent.push(out);
      if (now === 0 && out.length === 0) return Buffer.concat(sent);
    }
  }

  /** Every range lies in the chunks or in the staging memory below `endMax`. */
  #checkRanges(vector: IoVector, endMax: number): void {
    let sum = 0;
    for (let index = 0; index < vector.count; index++) {
      const start = vector.offsets[index];
      const end = start + vector.lengths[index];
      if (vector.lengths[index] <= 0) throw new Error('an empty range');
      if (start < this.#chunksOffset || end > endMax) throw new Error('a range outside of the memory');
      sum += vector.lengths[index];
    }
    if (sum !== vector.sizeBytes) throw new Error('sizeBytes is not the sum of the lengths');
  }
}
