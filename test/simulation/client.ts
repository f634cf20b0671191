import {
  BlockRequest,
  blockOpName,
  OP_FLUSH,
  OP_READ,
  OP_TRIM,
  OP_WRITE,
  OP_WRITE_ZEROES,
  type BlockOp,
  type RequestOwner,
} from '../../src/block/request.ts';
import { blockStatusName, STATUS_OK, type BlockStatus } from '../../src/block/status.ts';
import { CHUNK_BYTES, NO_CHUNK, type ChunkPool } from '../../src/buffers/chunk-pool.ts';
import { SECTOR_BYTES } from '../../src/aoe/constants.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import { Ledger, Violation } from './ledger.ts';
import type { ModelDisk } from './model-disk.ts';
import type { ModelTarget } from './model-target.ts';
import type { Random } from './random.ts';
import { fillSector, SECTOR_WORDS } from './sector-pattern.ts';

const SECTORS_PER_CHUNK = CHUNK_BYTES / SECTOR_BYTES;
const WORDS_PER_CHUNK = CHUNK_BYTES / 4;

/** What a client asks for, and how often. */
export interface Workload {
  readonly requests: number;
  readonly depth: number;
  /** Average pause between requests. */
  readonly pauseUs: number;
  /** Requests are mostly up to this long, a few are up to `sectorsMax`. */
  readonly sectorsTypical: number;
  readonly sectorsMax: number;
  /** Share of requests that go to the first few sectors. */
  readonly hot: number;
}

export interface ClientOptions {
  readonly target: ModelTarget;
  readonly workload: Workload;
  readonly random: Random;
  readonly chunks: ChunkPool;
  readonly words: Int32Array;
  /** Told of every request that is given to the volume. */
  readonly submitted: () => void;
  readonly afterUs: (delayUs: number, action: () => void) => void;
  readonly trace: (text: () => string) => void;
}

class Pending {
  readonly request: BlockRequest;
  readonly version: number;
  readonly mark: number;

  constructor(request: BlockRequest, version: number, mark: number) {
    this.request = request;
    this.version = version;
    this.mark = mark;
  }
}

/**
 * A file system, as a volume sees it: several requests under way, never two that overlap, and a good memory for what it wrote. It
 * submits from timers and, as an NBD session does, from within `completed`.
 */
export class Client {
  readonly target: ModelTarget;
  /** The disk whose content it knows, wherever that is now. */
  readonly disk: ModelDisk;
  readonly ledger: Ledger;
  volume: Volume | undefined;
  /** Statuses that requests may end with besides OK, for a request of given place. */
  allows: (status: BlockStatus, request: BlockRequest) => boolean = () => false;
  left: number;
  /** Submits nothing for the time being. */
  resting = false;
  done = 0;
  failed = 0;
  readonly #options: ClientOptions;
  readonly #pending = new Map<BlockRequest, Pending>();
  /** Requests of connections that are gone: their memory comes back, and what has become of them nobody hears. */
  readonly #forgotten = new Set<BlockRequest>();
  #connection = this.#connect();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.target = options.target;
    this.disk = options.target.disk;
    this.left = options.workload.requests;
    this.ledger = new Ledger(options.target.disk, `e${options.target.setup.shelf}.${options.target.setup.slot}`);
  }

  get underWay(): number {
    return this.#pending.size;
  }

  get finished(): boolean {
    return this.left === 0 && this.#pending.size === 0;
  }

  /** The volume is attached: work begins, or goes on. */
  start(volume: Volume): void {
    this.volume = volume;
    this.#tick(volume);
  }

  /** The volume is gone. */
  stop(): void {
    this.volume = undefined;
  }

  /** A read to be waited for while something happens. */
  submitRead(): void {
    this.#submit(OP_READ);
  }

  /**
   * The connection breaks and is made anew: nobody waits for the requests of the old one any more, and new ones may go to the same
   * sectors. What the old ones wrote may be there or not, but not any later.
   */
  reconnect(abandons: boolean): void {
    const { volume } = this;
    if (volume === undefined) return;
    const old = this.#connection;
    this.#connection = this.#connect();
    for (const { request, version } of this.#pending.values()) {
      this.#options.trace(() => `${this.#name}: ${this.#what(request)} is forgotten`);
      this.#forgotten.add(request);
      if (version !== 0) this.ledger.failed(request.lba, request.sectors, version);
    }
    this.#pending.clear();
    this.#options.submitted();
    if (abandons) volume.abandon(old);
    const { depth } = this.#options.workload;
    for (let count = 0; count < depth; count++) this.#submitAny();
  }

  #connect(): RequestOwner {
    return { completed: (request) => this.#completed(request) };
  }

  #completed(request: BlockRequest): void {
    if (this.#forgotten.delete(request)) {
      this.#options.chunks.release(request.chunk);
      return;
    }
    const pending = this.#pending.get(request);
    if (pending === undefined) throw new Violation(`${this.#name}: ${this.#what(request)} was completed twice`);
    this.#pending.delete(request);
    this.done++;
    this.#options.trace(() => `${this.#name}: ${this.#what(request)} ends: ${blockStatusName(request.status)}`);
    if (request.status === STATUS_OK) this.#succeeded(pending);
    else this.#wentWrong(pending);
    this.#options.chunks.release(request.chunk);
    if (this.left > 0 && this.#options.random.chance(0.3)) this.#submitAny();
  }

  #tick(volume: Volume): void {
    if (this.left === 0 || this.volume !== volume) return;
    const { random, workload, afterUs } = this.#options;
    const burst = random.chance(0.1) ? workload.depth : 1;
    for (let count = 0; count < burst; count++) this.#submitAny();
    afterUs(random.integer(0, 2 * workload.pauseUs), () => this.#tick(volume));
  }

  #submitAny(): void {
    const choice = this.#options.random.next();
    if (choice < 0.4) this.#submit(OP_READ);
    else if (choice < 0.85) this.#submit(OP_WRITE);
    else if (choice < 0.92) this.#submit(OP_FLUSH);
    else if (choice < 0.96) this.#submit(OP_WRITE_ZEROES);
    else this.#submit(OP_TRIM);
  }

  #submit(op: BlockOp): void {
    const { random, workload, chunks } = this.#options;
    const { volume } = this;
    if (volume?.ready !== true || volume.closing || this.resting || this.left === 0 || this.#pending.size >= workload.depth)
      return;
    if (op === OP_TRIM && !volume.canTrim) return;
    const request = new BlockRequest();
    request.op = op;
    request.owner = this.#connection;
    if (op !== OP_FLUSH && !this.#choosePlace(request, volume)) return;
    request.fua = (op === OP_WRITE || op === OP_WRITE_ZEROES) && random.chance(0.15);
    request.noHole = op === OP_WRITE_ZEROES && random.chance(0.5);
    if (op === OP_READ || op === OP_WRITE) {
      request.chunk = chunks.allocate(request.sectors * SECTOR_BYTES);
      if (request.chunk === NO_CHUNK) return;
    }
    const changes = op === OP_WRITE || op === OP_WRITE_ZEROES || op === OP_TRIM;
    const version = changes ? this.ledger.newVersion(op !== OP_WRITE) : 0;
    if (op === OP_WRITE) this.#fill(request, version);
    if (changes) this.ledger.writing(request.lba, request.sectors, version);
    this.left--;
    this.#pending.set(request, new Pending(request, version, this.ledger.mark));
    this.#options.trace(
      () => `${this.#name}: ${this.#what(request)}${changes ? ` version ${version}` : ''}${request.fua ? ' fua' : ''}`,
    );
    this.#options.submitted();
    volume.submit(request);
  }

  /** A range that overlaps nothing under way; false when none was found soon. */
  #choosePlace(request: BlockRequest, volume: Volume): boolean {
    const { random, workload } = this.#options;
    for (let attempt = 0; attempt < 4; attempt++) {
      const max = random.chance(0.04) ? workload.sectorsMax : workload.sectorsTypical;
      const sectors = Math.min(random.logarithmic(1, max), volume.sectors);
      const last = volume.sectors - sectors;
      const lba = random.integer(0, random.chance(workload.hot) ? Math.min(last, 16) : last);
      if (this.#overlaps(lba, sectors)) continue;
      request.lba = lba;
      request.sectors = sectors;
      return true;
    }
    return false;
  }

  #overlaps(lba: number, sectors: number): boolean {
    for (const { request } of this.#pending.values()) {
      if (lba < request.lba + request.sectors && request.lba < lba + sectors) return true;
    }
    return false;
  }

  /** Calls with the word of each sector of the request's memory. */
  #eachSector(request: BlockRequest, visit: (word: number, index: number) => void): void {
    const { chunks } = this.#options;
    let chunk = request.chunk;
    for (let index = 0; index < request.sectors; index++) {
      if (index > 0 && index % SECTORS_PER_CHUNK === 0) chunk = chunks.next(chunk);
      visit(chunks.offset(chunk) / 4 + ((index * SECTOR_WORDS) % WORDS_PER_CHUNK), index);
    }
  }

  #fill(request: BlockRequest, version: number): void {
    const { number } = this.disk;
    this.#eachSector(request, (word, index) => fillSector(this.#options.words, word, number, request.lba + index, version));
  }

  #succeeded({ request, version, mark }: Pending): void {
    switch (request.op) {
      case OP_READ:
        this.#eachSector(request, (word, index) =>
          this.ledger.compare(this.#options.words, word, request.lba + index, 1, this.#what(request)),
        );
        break;
      case OP_WRITE:
      case OP_WRITE_ZEROES:
      case OP_TRIM:
        if (request.fua && this.#flushes) this.ledger.forced(request.lba, request.sectors, version);
        this.ledger.written(request.lba, request.sectors, version);
        break;
      case OP_FLUSH:
        if (this.#flushes) this.ledger.flushed(mark);
        break;
    }
  }

  get #flushes(): boolean {
    return this.disk.identity.flush !== 'none';
  }

  #wentWrong({ request, version }: Pending): void {
    this.failed++;
    if (!this.allows(request.status, request)) {
      throw new Violation(`${this.#name}: ${this.#what(request)} failed: ${blockStatusName(request.status)}`);
    }
    if (version !== 0) this.ledger.failed(request.lba, request.sectors, version);
  }

  get #name(): string {
    return `e${this.target.setup.shelf}.${this.target.setup.slot}`;
  }

  #what(request: BlockRequest): string {
    return request.op === OP_FLUSH ? 'flush' : `${blockOpName(request.op)} of ${request.sectors} sectors at ${request.lba}`;
  }
}
