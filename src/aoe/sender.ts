import { OP_FLUSH, OP_READ, OP_TRIM, OP_WRITE, OP_WRITE_ZEROES, type BlockRequest, type RequestQueue } from '../block/request.ts';
import { CHUNK_BYTES, NO_CHUNK } from '../buffers/chunk-pool.ts';
import { writeTrimRange } from './ata.ts';
import {
  ATA_DATA_SET_MANAGEMENT,
  ATA_FEATURE_TRIM,
  ATA_FLAG_EXTENDED,
  ATA_FLAG_WRITE,
  ATA_FLUSH,
  ATA_FLUSH_EXT,
  ATA_READ,
  ATA_READ_EXT,
  ATA_WRITE,
  ATA_WRITE_EXT,
  SECTOR_BYTES,
  TRIM_RANGE_SECTORS_MAX,
  TRIM_RANGES_MAX,
} from './constants.ts';
import { COPY_IN_FLIGHT, NO_COPY } from './copies.ts';
import { FRAGMENT_RESEND, FRAGMENT_SENT, type Fragment } from './fragment.ts';
import type { Core } from './core.ts';
import { ataArgument, writeAtaHeader } from './frame-writer.ts';
import { ATA_DATA } from './layout.ts';
import type { Path } from './path.ts';
import { COPIES_SPARE_SHARE, TURN_SECTORS } from './limits.ts';
import type { Recovery } from './recovery.ts';
import type { Target } from './target.ts';
import type { Volume } from './volume.ts';

const READ_EXT = ataArgument(ATA_FLAG_EXTENDED, 0, 0, ATA_READ_EXT);
const READ_28 = ataArgument(0, 0, 0, ATA_READ);
const WRITE_EXT = ataArgument(ATA_FLAG_EXTENDED | ATA_FLAG_WRITE, 0, 0, ATA_WRITE_EXT);
const WRITE_28 = ataArgument(ATA_FLAG_WRITE, 0, 0, ATA_WRITE);
const FLUSH_EXT = ataArgument(ATA_FLAG_EXTENDED, 0, 0, ATA_FLUSH_EXT);
const FLUSH_28 = ataArgument(0, 0, 0, ATA_FLUSH);
const TRIM = ataArgument(ATA_FLAG_EXTENDED | ATA_FLAG_WRITE, ATA_FEATURE_TRIM, 1, ATA_DATA_SET_MANAGEMENT);
const COUNT_SHIFT = 8;
/** Sectors that one trim frame can name. */
const TRIM_FRAME_SECTORS = TRIM_RANGES_MAX * TRIM_RANGE_SECTORS_MAX;
/** Frames start at multiples of this where they can, so that a target never has to read before it writes 4 KiB sectors. */
const ALIGN_SECTORS = 8;

/** Cuts requests into frames at the moment of sending, large ones a part at a time in turn with others, and sends them as far as windows and batches allow. */
export class Sender {
  readonly #core: Core;
  readonly #recovery: Recovery;
  readonly #spareCopies: number;

  constructor(core: Core, recovery: Recovery) {
    this.#core = core;
    this.#spareCopies = Math.ceil(core.copies.capacity * COPIES_SPARE_SHARE);
    this.#recovery = recovery;
  }

  /** Sends what can be sent for one attached target: resends first, then new fragments. */
  pump(target: Target, volume: Volume, nowUs: number): void {
    const framesMax = target.framesMax;
    while (target.hasWork && target.inFlight < framesMax) {
      const again = target.ready.head;
      const path = this.#choosePath(target, again);
      if (path === undefined) return;
      const fragment = again === undefined ? this.#cut(target, volume, path) : this.#again(target, path);
      if (fragment === undefined) {
        if (again === undefined && target.queue.length > 0 && this.#core.fragments.free > 0) continue;
        return;
      }
      if (!this.#send(fragment, volume, path, nowUs)) {
        fragment.state = FRAGMENT_RESEND;
        target.ready.unshift(fragment);
        return;
      }
    }
  }

  /** Takes back a frame that was never handed to the kernel: its fragment is sent again, its tag was never used. */
  unsend(copy: number): void {
    const { copies } = this.#core;
    const fragment = copies.fragment[copy];
    const path = copies.path[copy];
    if (copies.state[copy] !== COPY_IN_FLIGHT || fragment === undefined || path === undefined) return;
    this.#recovery.forgetCopy(fragment, copy);
    fragment.state = FRAGMENT_RESEND;
    path.target.ready.unshift(fragment);
  }

  /** The usable path with most room, in share of its window; rather another one than `again` was sent on before. */
  #choosePath(target: Target, again: Fragment | undefined): Path | undefined {
    const avoid = again === undefined ? undefined : this.#lastPath(again);
    let best: Path | undefined;
    let bestLoad = Infinity;
    for (const path of target.paths) {
      if (!path.usable || path.port.batch.full) continue;
      if (path.inFlight >= path.window.size && (again !== undefined || !this.#isHeldUp(path))) continue;
      const load = path === avoid ? 1 - Number.EPSILON : path.inFlight / path.window.size;
      if (best === undefined || load < bestLoad) {
        best = path;
        bestLoad = load;
      }
    }
    return best;
  }

  /**
   * All that the path lets through is one frame that went unanswered before, with nothing sent after it. Whether the target is silent, or
   * that one slow, is told by another frame: a bad sector must not keep all others waiting.
   */
  #isHeldUp({ window, inFlight, head }: Path): boolean {
    return window.size === 1 && inFlight === 1 && (this.#core.copies.fragment[head]?.losses ?? 0) > 0;
  }

  #lastPath(fragment: Fragment): Path | undefined {
    return fragment.copies === NO_COPY ? undefined : this.#core.copies.path[fragment.copies];
  }

  /** The next new fragment, or undefined when none can be had now. */
  #cut(target: Target, volume: Volume, path: Path): Fragment | undefined {
    const request = target.queue.head;
    if (request === undefined) return undefined;
    if (target.lateCount > 0 && this.#mustWait(target, request)) return undefined;
    const fragment = this.#core.fragments.take();
    if (fragment === undefined) return undefined;
    fragment.request = request;
    fragment.op = request.op;
    fragment.lba = request.lba + request.nextSector;
    const left = request.sectors - request.nextSector;
    switch (request.op) {
      case OP_READ:
      case OP_WRITE:
        fragment.sectors = this.#takeData(request, fragment, alignedLength(fragment.lba, left, path.sectorsMax));
        break;
      case OP_WRITE_ZEROES:
        this.#cutZeroes(volume, request, fragment, left, path.sectorsMax);
        break;
      case OP_TRIM:
        fragment.sectors = left < TRIM_FRAME_SECTORS ? left : TRIM_FRAME_SECTORS;
        break;
      case OP_FLUSH:
        fragment.sectors = 0;
        request.mark = volume.writesDone;
        break;
    }
    const from = request.nextSector;
    request.nextSector += fragment.sectors;
    request.fragmentsOut++;
    if (request.nextSector >= request.sectors) target.queue.shift();
    // Past a multiple of a turn. A kernel writes zeroes to 4 GiB as one request.
    else if ((from ^ request.nextSector) >= TURN_SECTORS) giveWay(target.queue);
    return fragment;
  }

  /** Writes wait for late copies of older writes to the same sectors; the request leaves the queue until then. */
  #mustWait(target: Target, request: BlockRequest): boolean {
    // What a repeated write may find on its way to the same sectors is its own, with the same data.
    if (request.op === OP_READ || request.op === OP_FLUSH || request.repeated) return false;
    const from = request.lba + request.nextSector;
    if (!this.#core.lateWrites.overlaps(target, from, request.sectors - request.nextSector)) return false;
    target.queue.shift();
    target.held.push(request);
    this.#core.counters.writesHeld++;
    return true;
  }

  /** Points the fragment at its data and moves the request's cursor on; a fragment ends where its chunk ends. */
  #takeData(request: BlockRequest, fragment: Fragment, wanted: number): number {
    const { chunks } = this.#core;
    const inChunk = (request.nextSector * SECTOR_BYTES) % CHUNK_BYTES;
    const room = (CHUNK_BYTES - inChunk) / SECTOR_BYTES;
    const sectors = wanted < room ? wanted : room;
    fragment.offset = chunks.offset(request.cursorChunk) + inChunk;
    if (sectors === room && request.cursorChunk !== NO_CHUNK) request.cursorChunk = chunks.next(request.cursorChunk);
    return sectors;
  }

  #cutZeroes(volume: Volume, request: BlockRequest, fragment: Fragment, left: number, sectorsMax: number): void {
    if (volume.trimZeroes && !request.noHole) {
      fragment.op = OP_TRIM;
      fragment.sectors = left < TRIM_FRAME_SECTORS ? left : TRIM_FRAME_SECTORS;
      return;
    }
    fragment.op = OP_WRITE;
    fragment.offset = this.#core.zeroes;
    fragment.sectors = alignedLength(fragment.lba, left, sectorsMax);
  }

  /** Takes the first fragment that waits to be sent again, or as much of it as the path takes. */
  #again(target: Target, path: Path): Fragment | undefined {
    const fragment = target.ready.shift();
    if (fragment === undefined) return undefined;
    if (fragment.sectors <= path.sectorsMax || (fragment.op !== OP_READ && fragment.op !== OP_WRITE)) return fragment;
    this.#recovery.retireCopies(fragment, target, NO_COPY, this.#recovery.nowUs);
    const first = alignedLength(fragment.lba, fragment.sectors, path.sectorsMax);
    fragment.rest += fragment.sectors - first;
    fragment.sectors = first;
    fragment.losses = 0;
    return fragment;
  }

  /** One frame into the path's batch; false when no tag is free. */
  #send(fragment: Fragment, volume: Volume, path: Path, nowUs: number): boolean {
    const { copies, arena } = this.#core;
    let copy = copies.take(this.#spareCopies);
    if (copy === NO_COPY && fragment.copies !== NO_COPY) {
      // The answers of its own older copies are the price for sending it at all.
      this.#recovery.retireCopies(fragment, path.target, NO_COPY, nowUs);
      copy = copies.take(this.#spareCopies);
    }
    if (copy === NO_COPY) return false;
    this.#recovery.link(path, copy, fragment, nowUs);
    const { batch } = path.port;
    const at = batch.header(batch.count);
    const index = batch.append(copy);
    writeAtaHeader(arena.view, at, path, copies.tag[copy], argumentOf(fragment, volume), lbaOf(fragment), volume.lba48);
    if (fragment.op === OP_READ) {
      batch.replyOffset[index] = fragment.offset;
      batch.replyLength[index] = fragment.sectors * SECTOR_BYTES;
    } else if (fragment.op === OP_WRITE) {
      batch.headerLength[index] = ATA_DATA;
      batch.payloadOffset[index] = fragment.offset;
      batch.payloadLength[index] = fragment.sectors * SECTOR_BYTES;
    } else if (fragment.op === OP_TRIM) {
      batch.headerLength[index] = ATA_DATA;
      batch.payloadOffset[index] = this.#writeTrimRanges(fragment, batch.body(index));
      batch.payloadLength[index] = SECTOR_BYTES;
    }
    const again = fragment.copyCount > 1;
    this.#core.counters.framesSent++;
    path.framesSent++;
    if (again) {
      this.#core.counters.framesResent++;
      path.framesResent++;
    }
    fragment.state = FRAGMENT_SENT;
    return true;
  }

  #writeTrimRanges(fragment: Fragment, at: number): number {
    const { arena } = this.#core;
    let { lba, sectors: left } = fragment;
    for (let range = 0; range < TRIM_RANGES_MAX; range++) {
      const sectors = left < TRIM_RANGE_SECTORS_MAX ? left : TRIM_RANGE_SECTORS_MAX;
      writeTrimRange(arena.view, at, range, sectors === 0 ? 0 : lba, sectors);
      lba += sectors;
      left -= sectors;
    }
    return at;
  }
}

/** The first request goes on when the others have had their turn: nobody was promised an order. */
function giveWay(queue: RequestQueue): void {
  const first = queue.shift();
  if (first !== undefined) queue.push(first);
}

/** Flush and trim name their sectors elsewhere. */
function lbaOf(fragment: Fragment): number {
  return fragment.op === OP_READ || fragment.op === OP_WRITE ? fragment.lba : 0;
}

function argumentOf(fragment: Fragment, volume: Volume): number {
  switch (fragment.op) {
    case OP_READ:
      return (volume.lba48 ? READ_EXT : READ_28) | (fragment.sectors << COUNT_SHIFT);
    case OP_TRIM:
      return TRIM;
    case OP_FLUSH:
      return volume.flush === 'ext' ? FLUSH_EXT : FLUSH_28;
    case OP_WRITE:
    case OP_WRITE_ZEROES:
      return (volume.lba48 ? WRITE_EXT : WRITE_28) | (fragment.sectors << COUNT_SHIFT);
  }
}

/** At most `max` of `left` sectors, ending at a multiple of 8 when there is more to come and the frame is large enough. */
function alignedLength(lba: number, left: number, max: number): number {
  if (left <= max) return left;
  if (max < ALIGN_SECTORS) return max;
  const past = (lba + max) % ALIGN_SECTORS;
  return max - past;
}
