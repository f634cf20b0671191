import type { BlockDevice } from '../block/device.ts';
import { OP_FLUSH, OP_READ, OP_TRIM, type BlockRequest, type RequestOwner } from '../block/request.ts';
import {
  STATUS_DEAD,
  STATUS_FENCED,
  STATUS_INVALID,
  STATUS_NOT_SUPPORTED,
  STATUS_OK,
  STATUS_READ_ONLY,
  STATUS_SHUTDOWN,
  type BlockStatus,
} from '../block/status.ts';
import type { Identity } from './identify.ts';
import type { DiskIdentity } from './identity.ts';
import { MAX_OUTSTANDING_DEFAULT } from './limits.ts';
import type { Port } from './port.ts';
import { TARGET_FENCED, type Target } from './target.ts';

export interface VolumeOptions {
  readonly readOnly: boolean;
  /** Held I/O fails after this long without an answer; 0 = never. */
  readonly deadUs: number;
  /** Cap on unanswered frames, besides the target's buffer count. */
  readonly maxOutstanding: number;
  /** Names of the interfaces this volume may use; undefined = all that the engine has. */
  readonly interfaces: readonly string[] | undefined;
}

export const VOLUME_OPTIONS_DEFAULT: VolumeOptions = {
  readOnly: false,
  deadUs: 0,
  maxOutstanding: MAX_OUTSTANDING_DEFAULT,
  interfaces: undefined,
};

/** An attached target, as block I/O sees it. It exists from the start of an attach; I/O is taken from `attached` until `detach`. */
export class Volume implements BlockDevice {
  readonly target: Target;
  readonly name: string;
  readonly readOnly: boolean;
  options: VolumeOptions;
  /** The disk that it is; '' and 0 while any will do. */
  serial = '';
  model = '';
  /** Size when it was attached. The target may grow; the volume does so only when asked. */
  sectors = 0;
  lba48 = true;
  canTrim = false;
  /** Trimmed sectors read as zeroes, so a trim can stand for writing zeroes. */
  trimZeroes = false;
  /** Opcode choice for flush; 'none' means that durability is the target's own policy. */
  flush: 'ext' | 'plain' | 'none' = 'none';
  /** Attaching is over: I/O may come. */
  ready = false;
  /** Detaching: no new I/O. */
  closing = false;
  /** When it was taken up again after another process had it, whose users are still there; -Infinity for one that is new. */
  resumedUs = -Infinity;
  /** When to ask everybody for the target again: attaching, or while it is down. Attach: until when to listen for a second one. */
  queryUs = 0;
  settleUs = Infinity;

  /** Writes acknowledged so far, and those of them that a flush has covered, or whose loss has been spoken of. */
  writesDone = 0;
  writesFlushed = 0;
  /** Restarts of the target that came upon writes not flushed, and how many writes those were. */
  unflushedRestarts = 0;
  unflushedWrites = 0;

  requestsDone = 0;
  readSectors = 0;
  writtenSectors = 0;

  constructor(target: Target, options: VolumeOptions) {
    this.target = target;
    this.name = target.name;
    this.options = options;
    this.readOnly = options.readOnly;
  }

  /** It has users, who have to be told what becomes of it: also while it is only about to be taken up again. */
  get isInUse(): boolean {
    return this.ready || this.resumedUs !== -Infinity;
  }

  /** No other disk will do. */
  get isKnown(): boolean {
    return this.sectors > 0;
  }

  /** An earlier process had it, as this disk. */
  resume({ serial, model, sectors }: DiskIdentity, nowUs: number): void {
    this.resumedUs = nowUs;
    this.serial = serial;
    this.model = model;
    this.sectors = sectors;
  }

  /** Its target has said what it is and can do. */
  fit({ serial, model, sectors, lba48, trim, readZeroAfterTrim, flush }: Identity): void {
    this.serial = serial;
    this.model = model;
    if (!this.isKnown) this.sectors = sectors;
    this.lba48 = lba48;
    this.canTrim = trim;
    this.trimZeroes = trim && readZeroAfterTrim;
    this.flush = flush;
  }

  allows(port: Port): boolean {
    return this.options.interfaces === undefined || this.options.interfaces.includes(port.name);
  }

  submit(request: BlockRequest): void {
    const refusal = this.#refusal(request);
    if (refusal === STATUS_OK && !(request.op === OP_FLUSH && this.flush === 'none') && !this.#empty(request)) {
      request.nextSector = 0;
      request.sectorsDone = 0;
      request.fragmentsOut = 0;
      request.flushing = false;
      request.repeated = false;
      request.cursorChunk = request.chunk;
      this.target.requests++;
      this.target.queue.push(request);
      return;
    }
    request.status = refusal;
    request.owner?.completed(request);
  }

  abandon(owner: RequestOwner): void {
    if (this.target.requests > 0) this.target.abandoned.push(owner);
  }

  #empty(request: BlockRequest): boolean {
    return request.op !== OP_FLUSH && request.sectors === 0;
  }

  /** Why a request can't be taken: the check that keeps every later step inside the disk. */
  #refusal(request: BlockRequest): BlockStatus {
    if (this.closing || !this.ready) return STATUS_SHUTDOWN;
    if (this.target.state === TARGET_FENCED) return STATUS_FENCED;
    if (this.target.dead) return STATUS_DEAD;
    if (request.op === OP_FLUSH) return STATUS_OK;
    if (request.lba + request.sectors > this.sectors) return STATUS_INVALID;
    if (request.op === OP_READ) return STATUS_OK;
    if (this.readOnly) return STATUS_READ_ONLY;
    return request.op === OP_TRIM && !this.canTrim ? STATUS_NOT_SUPPORTED : STATUS_OK;
  }
}
