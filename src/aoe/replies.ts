import {
  OP_FLUSH,
  OP_READ,
  OP_TRIM,
  OP_WRITE,
  type BlockRequest,
  type RequestOwner,
  type RequestQueue,
} from '../block/request.ts';
import {
  STATUS_INVALID,
  STATUS_IO_ERROR,
  STATUS_NOT_SUPPORTED,
  STATUS_OK,
  STATUS_SHUTDOWN,
  type BlockStatus,
} from '../block/status.ts';
import {
  AOE_ERROR_BAD_ARGUMENT,
  AOE_ERROR_DEVICE_UNAVAILABLE,
  AOE_ERROR_RESERVED,
  ATA_ERROR_IDNF,
  ATA_STATUS_FAILURE,
  FLAG_ERROR,
  SECTOR_BYTES,
} from './constants.ts';
import { COPY_IN_FLIGHT, COPY_LOST, COPY_ZOMBIE, NO_COPY } from './copies.ts';
import type { Core } from './core.ts';
import { FRAGMENT_IDLE, FRAGMENT_RESEND, isSlow, type Fragment } from './fragment.ts';
import { ATA_COMMAND, ATA_DATA, ATA_FEATURE, ERROR, SHELF, SRC_MAC, TAG, VERSION_FLAGS } from './layout.ts';
import { SECTORS_UNPROVEN, SHORT_REPLIES_MAX } from './limits.ts';
import { aoeErrorName, ataStatusText } from './names.ts';
import type { Path } from './path.ts';
import type { Port } from './port.ts';
import type { RefusalListener } from './health-listeners.ts';
import type { PathHealth } from './path-health.ts';
import type { Recovery } from './recovery.ts';
import type { Target } from './target.ts';

/** Takes the answers to ATA commands: finds what they answer, and ends or repeats it. */
export class Replies {
  readonly #core: Core;
  readonly #recovery: Recovery;
  readonly #health: PathHealth;
  #listener: RefusalListener | undefined;

  constructor(core: Core, recovery: Recovery, health: PathHealth) {
    this.#core = core;
    this.#recovery = recovery;
    this.#health = health;
  }

  connect(listener: RefusalListener): void {
    this.#listener = listener;
  }

  /**
   * An ATA response of `length` bytes whose headers are at `at` and whose data, if any, is at `data`. The caller has checked that
   * the headers are there.
   */
  receive(port: Port, at: number, length: number, data: number, nowUs: number): void {
    const { copies, counters } = this.#core;
    const { view } = this.#core.arena;
    const copy = copies.find(view.getInt32(at + TAG));
    const path = copy === NO_COPY ? undefined : copies.path[copy];
    if (path === undefined) {
      counters.unexpected++;
      return;
    }
    if (!this.#isFrom(path, port, at)) {
      counters.wrongSource++;
      return;
    }
    const error = (view.getUint8(at + VERSION_FLAGS) & FLAG_ERROR) !== 0;
    if (length < ATA_DATA && !error) {
      counters.malformed++;
      return;
    }
    path.lastAnswerUs = nowUs;
    path.target.lastAnswerUs = nowUs;
    const fragment = copies.fragment[copy];
    if (fragment === undefined) {
      this.#receiveOther(path, copy, at, length, data, error, nowUs);
      return;
    }
    if (!path.trusts(copies.sequence[copy])) {
      // It has run, but who knows where. The fragment waits for the path's proof, or is on its way again.
      this.#recovery.forgetCopy(fragment, copy);
      counters.distrusted++;
      return;
    }
    this.#learn(path, fragment, copy, nowUs);
    if (error) this.#aoeError(fragment, path, copy, view.getUint8(at + ERROR), nowUs);
    else if ((view.getUint8(at + ATA_COMMAND) & ATA_STATUS_FAILURE) !== 0) this.#ataError(fragment, path, copy, at, nowUs);
    else this.#succeed(fragment, path, copy, length, data, nowUs);
    this.#recovery.findOvertaken(path);
  }

  #isFrom(path: Path, port: Port, at: number): boolean {
    const { view } = this.#core.arena;
    return (
      path.port === port &&
      view.getUint32(at + SRC_MAC) === path.macHigh &&
      view.getUint16(at + SRC_MAC + 4) === path.macLow &&
      // Shelf and slot with the command, which is 0: the word before the tag.
      view.getUint32(at + SHELF) === path.headerWords[4]
    );
  }

  /** An answer to a late write, or to a question of the path's own. */
  #receiveOther(path: Path, copy: number, at: number, length: number, data: number, error: boolean, nowUs: number): void {
    const { copies, lateWrites, counters } = this.#core;
    if (copies.state[copy] === COPY_ZOMBIE) {
      lateWrites.answered(path.target, copy);
      counters.lateWritesAnswered++;
      this.releaseHeld(path.target);
      return;
    }
    this.#health.answered(path, copy, at, length, data, error, nowUs);
  }

  /** What every answer tells of its path, whatever it says. */
  #learn(path: Path, fragment: Fragment, copy: number, nowUs: number): void {
    const { copies } = this.#core;
    const roundTripUs = nowUs - copies.sentUs[copy];
    // Within its time, so it was not a timeout that gave it up.
    if (copies.state[copy] === COPY_LOST && roundTripUs < path.roundTrip.timeoutUs) path.overtaken();
    path.doubts = 0;
    if (isSlow(fragment)) path.roundTrip.silences = 0;
    else path.roundTrip.sample(roundTripUs);
    path.answered(copies.sequence[copy]);
    path.window.answered();
  }

  #succeed(fragment: Fragment, path: Path, copy: number, length: number, data: number, nowUs: number): void {
    const { counters, arena } = this.#core;
    if (fragment.op === OP_READ) {
      const sizeBytes = fragment.sectors * SECTOR_BYTES;
      if (length - ATA_DATA < sizeBytes) {
        this.#shortData(fragment, path, copy, nowUs);
        return;
      }
      if (data !== fragment.offset) {
        arena.bytes.copyWithin(fragment.offset, data, data + sizeBytes);
        counters.answersMoved++;
      }
    }
    counters.answers++;
    this.#complete(fragment, path.target, copy, nowUs);
  }

  /** The fragment is done: end its copies, and its request with the last of them. */
  #complete(fragment: Fragment, target: Target, copy: number, nowUs: number): void {
    if (fragment.state === FRAGMENT_RESEND) target.ready.remove(fragment);
    this.#recovery.retireCopies(fragment, target, copy, nowUs);
    const { request, sectors } = fragment;
    if (request?.sectorsDone === 0 && fragment.op !== OP_FLUSH) request.mark = target.starts;
    if (fragment.rest > 0 && request?.status === STATUS_OK) {
      request.sectorsDone += sectors;
      this.#goOn(fragment, target);
      return;
    }
    this.#core.fragments.give(fragment);
    if (request === undefined) return;
    request.fragmentsOut--;
    request.sectorsDone += sectors;
    if (request.fragmentsOut === 0 && (request.sectorsDone >= request.sectors || request.status !== STATUS_OK)) {
      this.#finish(request, target);
    }
  }

  /** The first part of a fragment is done; the rest of it is next. */
  #goOn(fragment: Fragment, target: Target): void {
    fragment.lba += fragment.sectors;
    if (fragment.offset !== this.#core.zeroes) fragment.offset += fragment.sectors * SECTOR_BYTES;
    fragment.sectors = fragment.rest;
    fragment.rest = 0;
    fragment.shortReplies = 0;
    fragment.losses = 0;
    fragment.state = FRAGMENT_RESEND;
    target.ready.push(fragment);
  }

  #finish(request: BlockRequest, target: Target): void {
    if (request.status === STATUS_OK) {
      if (request.mark !== target.starts && isWrite(request)) {
        this.#writeAgain(request, target);
        return;
      }
      if (request.fua && !request.flushing && target.volume?.flush !== 'none') {
        this.#flushAfter(request, target);
        return;
      }
      this.#account(request, target);
    } else {
      this.#core.counters.requestsFailed++;
    }
    target.requests--;
    request.owner?.completed(request);
  }

  #account(request: BlockRequest, target: Target): void {
    const { volume } = target;
    if (volume === undefined) return;
    volume.requestsDone++;
    if (request.op === OP_READ) volume.readSectors += request.sectors;
    else if (request.op === OP_WRITE) volume.writtenSectors += request.sectors;
    if (request.op === OP_FLUSH) volume.writesFlushed = Math.max(volume.writesFlushed, request.mark);
    else if (request.op !== OP_READ && !request.flushing) volume.writesDone++;
  }

  /** The target may have started anew since part of this was written, and have lost that: all of it, while its data is still here. */
  #writeAgain(request: BlockRequest, target: Target): void {
    this.#core.counters.writesRepeated++;
    request.nextSector = 0;
    request.sectorsDone = 0;
    request.flushing = false;
    request.repeated = true;
    request.cursorChunk = request.chunk;
    target.queue.push(request);
  }

  /** Force unit access: the write is followed by a flush before it is acknowledged. */
  #flushAfter(request: BlockRequest, target: Target): void {
    const fragment = this.#core.fragments.take();
    // The request's last fragment has just been given back, so one is there.
    if (fragment === undefined) throw new Error('no fragment left for the flush of a forced write');
    request.flushing = true;
    request.fragmentsOut = 1;
    fragment.request = request;
    fragment.op = OP_FLUSH;
    fragment.lba = 0;
    fragment.sectors = 0;
    fragment.state = FRAGMENT_RESEND;
    target.ready.push(fragment);
  }

  /** Ends a fragment that can't succeed. What is left of its request is not sent; the rest under way is waited for. */
  fail(fragment: Fragment, target: Target, status: BlockStatus, copy: number, nowUs: number): void {
    const { request } = fragment;
    if (request !== undefined && request.status === STATUS_OK) {
      request.status = status;
      if (request.nextSector < request.sectors && !target.queue.remove(request)) target.held.remove(request);
      request.nextSector = request.sectors;
    }
    this.#complete(fragment, target, copy, nowUs);
  }

  /** Ends everything that waits or is under way at a target. */
  failAll(target: Target, status: BlockStatus, nowUs: number): void {
    for (const path of target.paths) this.#recovery.loseAll(path);
    for (let fragment = target.ready.shift(); fragment !== undefined; fragment = target.ready.shift()) {
      fragment.state = FRAGMENT_IDLE;
      this.fail(fragment, target, status, NO_COPY, nowUs);
    }
    this.#failQueued(target, target.queue.shift(), status, () => target.queue.shift());
    this.#failQueued(target, target.held.shift(), status, () => target.held.shift());
  }

  #failQueued(target: Target, first: BlockRequest | undefined, status: BlockStatus, next: () => BlockRequest | undefined): void {
    for (let request = first; request !== undefined; request = next()) {
      request.status = status;
      this.#finish(request, target);
    }
  }

  /**
   * Ends the requests of owners that are gone. Who comes after them may write to the same sectors, and must not be overtaken by what
   * they have left: so nothing of theirs is sent any more, and copies of their writes that nobody has answered are waited for.
   */
  endAbandoned(target: Target, nowUs: number): void {
    for (let owner = target.abandoned.pop(); owner !== undefined; owner = target.abandoned.pop()) {
      for (const path of target.paths) this.#recovery.loseThoseOf(path, owner);
      for (let left = target.ready.length; left > 0; left--) {
        const fragment = target.ready.shift();
        if (fragment === undefined) break;
        if (fragment.request?.owner === owner) {
          fragment.state = FRAGMENT_IDLE;
          this.fail(fragment, target, STATUS_SHUTDOWN, NO_COPY, nowUs);
        } else {
          target.ready.push(fragment);
        }
      }
      this.#endQueued(target, target.queue, owner);
      this.#endQueued(target, target.held, owner);
    }
  }

  #endQueued(target: Target, queue: RequestQueue, owner: RequestOwner): void {
    for (let left = queue.length; left > 0; left--) {
      const request = queue.shift();
      if (request === undefined) return;
      if (request.owner === owner) {
        request.status = STATUS_SHUTDOWN;
        this.#finish(request, target);
      } else {
        queue.push(request);
      }
    }
  }

  /** Writes that waited for late copies try again. */
  releaseHeld(target: Target): void {
    for (let request = target.held.shift(); request !== undefined; request = target.held.shift()) target.queue.push(request);
  }

  /** Less data than asked for, with a good status: damaged on its way or a confused target. Try again, then give up. */
  #shortData(fragment: Fragment, path: Path, copy: number, nowUs: number): void {
    this.#core.counters.shortData++;
    if (++fragment.shortReplies <= SHORT_REPLIES_MAX) {
      this.#again(fragment, path.target, copy);
      return;
    }
    this.#core.events.notice(
      'ata-error',
      path.target.name,
      `${path.target.name} answered a read of ${String(fragment.sectors)} sectors at LBA ${String(fragment.lba)} ` +
        `${String(fragment.shortReplies)} times with too little data; the request fails`,
    );
    this.fail(fragment, path.target, STATUS_IO_ERROR, copy, nowUs);
  }

  /** The answered copy has run; the fragment needs another one. */
  #again(fragment: Fragment, target: Target, copy: number): void {
    const waiting = this.#core.copies.state[copy] === COPY_IN_FLIGHT;
    this.#recovery.forgetCopy(fragment, copy);
    if (!waiting) return;
    fragment.state = FRAGMENT_RESEND;
    target.ready.push(fragment);
  }

  #ataError(fragment: Fragment, path: Path, copy: number, at: number, nowUs: number): void {
    const { view } = this.#core.arena;
    const status = view.getUint8(at + ATA_COMMAND);
    const error = view.getUint8(at + ATA_FEATURE);
    this.#core.counters.ataErrors++;
    this.#core.events.notice(
      'ata-error',
      path.target.name,
      `${path.target.name} failed ${describe(fragment)}: ${ataStatusText(status, error)}`,
    );
    if ((error & ATA_ERROR_IDNF) !== 0) this.#health.askAgain(path, nowUs);
    const gone = fragment.op === OP_TRIM ? STATUS_NOT_SUPPORTED : STATUS_IO_ERROR;
    this.fail(fragment, path.target, gone, copy, nowUs);
  }

  #aoeError(fragment: Fragment, path: Path, copy: number, code: number, nowUs: number): void {
    const { target } = path;
    this.#core.counters.aoeErrors++;
    switch (code) {
      case AOE_ERROR_DEVICE_UNAVAILABLE:
        this.#again(fragment, target, copy);
        this.#health.obstructed(path, 'it says that its disk is unavailable', nowUs);
        return;
      case AOE_ERROR_BAD_ARGUMENT:
        if (fragment.sectors > SECTORS_UNPROVEN && fragment.op !== OP_TRIM) {
          this.#again(fragment, target, copy);
          this.#health.sizeRefused(path, fragment.sectors, nowUs);
          return;
        }
        break;
      case AOE_ERROR_RESERVED:
        this.#again(fragment, target, copy);
        this.#listener?.refused(path, nowUs);
        return;
      default:
        break;
    }
    const status = code === AOE_ERROR_BAD_ARGUMENT ? STATUS_INVALID : STATUS_IO_ERROR;
    this.#core.events.notice('aoe-error', target.name, `${target.name} refused ${describe(fragment)}: ${aoeErrorName(code)}`);
    this.fail(fragment, target, status, copy, nowUs);
  }
}

function isWrite({ op }: BlockRequest): boolean {
  return op !== OP_READ && op !== OP_FLUSH;
}

function describe(fragment: Fragment): string {
  if (fragment.op === OP_FLUSH) return 'a flush';
  const verb = fragment.op === OP_READ ? 'a read' : fragment.op === OP_TRIM ? 'a trim' : 'a write';
  return `${verb} of ${String(fragment.sectors)} sectors at LBA ${String(fragment.lba)}`;
}
