import type { BlockDevice } from '../../src/block/device.ts';
import { OP_READ, OP_TRIM, OP_WRITE, OP_WRITE_ZEROES, type BlockRequest, type RequestOwner } from '../../src/block/request.ts';
import { STATUS_OK, type BlockStatus } from '../../src/block/status.ts';
import type { Arena } from '../../src/buffers/arena.ts';
import { CHUNK_BYTES, type ChunkPool } from '../../src/buffers/chunk-pool.ts';

export interface MemoryDeviceOptions {
  readonly name?: string;
  readonly sectors: number;
  readonly readOnly?: boolean;
  readonly canTrim?: boolean;
  /** Completes each request within `submit`; else requests wait in `pending` for the test to call `complete`. */
  readonly immediate?: boolean;
}

/** A block device in memory. Data moves when a request completes, not when it is submitted. */
export class MemoryDevice implements BlockDevice {
  readonly name: string;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly canTrim: boolean;
  readonly content: Uint8Array;
  /** Requests taken and not completed, oldest first. */
  readonly pending: BlockRequest[] = [];
  /** Owners that are gone; the test ends their requests. */
  readonly abandoned: RequestOwner[] = [];
  readonly #immediate: boolean;
  readonly #arena: Arena;
  readonly #chunks: ChunkPool;

  constructor(arena: Arena, chunks: ChunkPool, options: MemoryDeviceOptions) {
    this.#arena = arena;
    this.#chunks = chunks;
    this.name = options.name ?? 'e10.3';
    this.sectors = options.sectors;
    this.readOnly = options.readOnly ?? false;
    this.canTrim = options.canTrim ?? true;
    this.#immediate = options.immediate ?? false;
    this.content = new Uint8Array(options.sectors * 512);
  }

  submit(request: BlockRequest): void {
    if (request.lba < 0 || request.lba + request.sectors > this.sectors) throw new Error('submitted beyond the end');
    this.pending.push(request);
    if (this.#immediate) this.complete(this.pending.length - 1);
  }

  abandon(owner: RequestOwner): void {
    this.abandoned.push(owner);
  }

  /** Ends the pending request at `index`, with its data moved when `status` is OK. */
  complete(index: number, status: BlockStatus = STATUS_OK): void {
    const [request] = this.pending.splice(index, 1);
    if (status === STATUS_OK) this.#move(request);
    request.status = status;
    request.owner?.completed(request);
  }

  #move(request: BlockRequest): void {
    const start = request.lba * 512;
    const end = start + request.sectors * 512;
    if (request.op === OP_TRIM || request.op === OP_WRITE_ZEROES) this.content.fill(0, start, end);
    if (request.op !== OP_READ && request.op !== OP_WRITE) return;
    let chunk = request.chunk;
    for (let at = start; at < end; at += CHUNK_BYTES) {
      const memory = this.#chunks.offset(chunk);
      const lengthBytes = Math.min(CHUNK_BYTES, end - at);
      if (request.op === OP_READ) this.#arena.bytes.set(this.content.subarray(at, at + lengthBytes), memory);
      else this.content.set(this.#arena.bytes.subarray(memory, memory + lengthBytes), at);
      chunk = this.#chunks.next(chunk);
    }
  }
}
