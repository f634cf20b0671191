import type { Core } from './core.ts';
import { Admission, ADMITTED, forget, learn, MISMATCH, ownerWorks } from './admission.ts';
import { ATA_STATUS_FAILURE, AOE_ERROR_BAD_ARGUMENT, AOE_ERROR_RESERVED, SECTOR_BYTES } from './constants.ts';
import { EXCHANGE_IDENTIFY, EXCHANGE_READ } from './exchange.ts';
import type { Exchanges } from './exchanges.ts';
import { decodeIdentify, type Identity } from './identify.ts';
import { ATA_COMMAND, ATA_DATA, ERROR } from './layout.ts';
import {
  IDENTITY_FRESH_US,
  PROBE_FIRST_US,
  PROBE_LONGEST_US,
  REVERIFY_US,
  SECTORS_UNPROVEN,
  SURE_US,
  TIMEOUTS_UNTIL_SUSPECT,
  UNAVAILABLE_POLL_US,
  VERIFY_SPACING_US,
} from './limits.ts';
import type { Mac } from './address.ts';
import { aoeErrorName } from './names.ts';
import type { PayloadProbe } from './payload-probe.ts';
import {
  DOUBT_IDLE,
  DOUBT_NONE,
  DOUBT_SILENT,
  STANDING_CONFLICT,
  STANDING_IDENTIFIED,
  STANDING_PROVEN,
  STANDING_UNPROVEN,
  type Path,
} from './path.ts';
import type { IdentityListener, RefusalListener } from './health-listeners.ts';
import type { PathWatcher, Recovery } from './recovery.ts';
import { startedAnew, tellAnnounced } from './restarts.ts';
import { TARGET_DOWN, TARGET_FENCED, type Target } from './target.ts';
import { TargetStates } from './target-states.ts';

/**
 * Decides which paths take I/O. A path is asked who it is (IDENTIFY), then for a small read; only then is it proven. The same is
 * done whenever the target may have been replaced: after its announcement, after silence, after the interface was down. Until then
 * I/O is held, never failed and never sent to a disk that might be a stranger's.
 */
export class PathHealth implements PathWatcher {
  readonly states: TargetStates;
  readonly #core: Core;
  readonly #recovery: Recovery;
  readonly #exchanges: Exchanges;
  readonly #payload: PayloadProbe;
  readonly #listener: IdentityListener;
  readonly #admission: Admission;
  #refusals: RefusalListener | undefined;

  constructor(core: Core, recovery: Recovery, exchanges: Exchanges, payload: PayloadProbe, listener: IdentityListener) {
    this.#core = core;
    this.states = new TargetStates(core);
    this.#recovery = recovery;
    this.#exchanges = exchanges;
    this.#payload = payload;
    this.#listener = listener;
    this.#admission = new Admission(core);
  }

  connect(listener: RefusalListener): void {
    this.#refusals = listener;
  }

  /** Starts the questions from the first one. What was under way on the path will be sent again. */
  begin(path: Path, nowUs: number): void {
    this.leave(path);
    if (path.target.state === TARGET_FENCED) return;
    path.pauseUs = PROBE_FIRST_US;
    path.identify.dueUs = nowUs;
    this.tick(path, nowUs);
    this.update(path.target, nowUs);
  }

  /** Takes no I/O and asks nothing any more; what was under way goes on elsewhere, or waits. */
  leave(path: Path): void {
    this.stop(path);
    this.#recovery.loseAll(path);
  }

  /** Asks nothing any more and takes no new I/O. */
  stop(path: Path): void {
    this.#exchanges.end(path.identify);
    this.#exchanges.end(path.probe);
    path.standing = STANDING_UNPROVEN;
    path.doubt = DOUBT_NONE;
    path.probing = 0;
    path.payloadRetryUs = Infinity;
    path.reverifyUs = Infinity;
  }

  /** The target says that it has just started: whatever it had queued is gone, and it may be another one. */
  announced(path: Path, nowUs: number): void {
    const { target } = path;
    if (target.owner !== undefined && target.owner !== path.mac && ownerWorks(target)) {
      // Another MAC than the one in use: no reason to stop, but to look who it is now.
      forget(path);
      this.sighted(path, nowUs);
      return;
    }
    if (target.owner === path.mac) startedAnew(target, this.#core.events);
    if (nowUs - path.announcedUs >= VERIFY_SPACING_US) tellAnnounced(target, this.#core.events);
    // However soon after the last one: in between another disk may have come. And on whatever interface it was heard.
    for (const other of target.paths.filter(({ mac }) => mac === path.mac)) {
      other.announcedUs = nowUs;
      this.#doubtAll(other, nowUs);
    }
  }

  /** Nothing that was sent on the path so far, or was said there, counts any more. */
  #doubtAll(path: Path, nowUs: number): void {
    path.distrust();
    if (this.#mayAsk(path)) this.begin(path, nowUs);
    else this.leave(path);
  }

  /** A path of a target with a volume has answered a query. One that is not known yet, or was given up, is asked who it is. */
  sighted(path: Path, nowUs: number): void {
    const { target } = path;
    // While a read is being asked for, starting over would only keep that question from ever growing old.
    const busy = !path.identify.idle || path.standing === STANDING_IDENTIFIED;
    if (path.standing === STANDING_PROVEN || busy) return;
    // Asked again by itself, or known for a stranger that is of no use while the owner works.
    if (path.reverifyUs !== Infinity || (path.found !== undefined && path.reported && ownerWorks(target))) return;
    if (this.#mayAsk(path)) this.begin(path, nowUs);
    else if (target.volume?.allows(path.port) === true && path.standing === STANDING_UNPROVEN) {
      // A stranger beside a working owner: learn who it is, for the report.
      path.pauseUs = PROBE_FIRST_US;
      path.identify.dueUs = nowUs;
      this.tick(path, nowUs);
    }
  }

  /** The disk reported something that does not fit what is known of it: ask again who it is, without holding I/O. */
  askAgain(path: Path, nowUs: number): void {
    if (path.standing === STANDING_PROVEN && path.identify.idle) path.reverifyUs = nowUs;
  }

  /**
   * I/O waits: paths that have been silent for long are asked first who is there, because a disk may have been replaced meanwhile and
   * its announcement lost. Answers whether anything was asked.
   */
  assure(target: Target, nowUs: number): boolean {
    let asked = false;
    for (const path of target.paths) {
      if (path.doubt === DOUBT_NONE || !path.identify.idle) continue;
      path.reverifyUs = nowUs;
      this.tick(path, nowUs);
      asked = true;
    }
    return asked;
  }

  /**
   * Too silent for I/O. What is under way may still be answered, because a target may be busy for a while: so it is asked only whether
   * it is there. When it is, but goes on being silent to I/O, it must prove itself again.
   */
  silent(path: Path, nowUs: number): void {
    if (path.standing !== STANDING_PROVEN || path.roundTrip.silences < TIMEOUTS_UNTIL_SUSPECT) return;
    if (path.doubt === DOUBT_SILENT) return;
    if (++path.doubts > 1) {
      this.begin(path, nowUs);
      return;
    }
    path.doubt = DOUBT_SILENT;
    if (!ownerWorks(path.target)) path.target.downSinceUs = nowUs;
    if (path.identify.idle) path.reverifyUs = nowUs;
    this.tick(path, nowUs);
    this.#askStrangers(path.target, nowUs);
  }

  largeFramesLost(path: Path, nowUs: number): void {
    if (path.standing === STANDING_PROVEN && path.doubt === DOUBT_NONE) this.#payload.start(path, nowUs);
  }

  /** The target refused a frame of so many sectors. */
  sizeRefused(path: Path, sectors: number, nowUs: number): void {
    if (path.standing === STANDING_PROVEN && sectors <= path.sectorsMax) this.#payload.refused(path, sectors, nowUs);
  }

  /** The target says that it can't serve the path's I/O now: from the start again, but not at once. */
  obstructed(path: Path, obstacle: string, nowUs: number): void {
    if (path.standing !== STANDING_PROVEN && path.standing !== STANDING_IDENTIFIED) return;
    path.target.obstacle = obstacle;
    this.leave(path);
    path.pauseUs = UNAVAILABLE_POLL_US;
    path.identify.dueUs = nowUs + UNAVAILABLE_POLL_US;
    this.update(path.target, nowUs);
  }

  /** Does what is due on a path of a target that has a volume, or whose identity is wanted. */
  tick(path: Path, nowUs: number): void {
    if (path.reverifyUs <= nowUs && path.identify.idle) {
      path.reverifyUs = nowUs + REVERIFY_US;
      path.pauseUs = PROBE_FIRST_US;
      path.identify.dueUs = nowUs;
    }
    if (path.identify.dueUs <= nowUs) this.#askIdentity(path, nowUs);
    if (path.standing === STANDING_IDENTIFIED && path.probe.dueUs <= nowUs) this.#askRead(path, nowUs);
    if (path.standing !== STANDING_PROVEN) return;
    if (path.inFlight === 0 && nowUs - path.lastAnswerUs > SURE_US && path.doubt === DOUBT_NONE) path.doubt = DOUBT_IDLE;
    if (path.doubt === DOUBT_NONE) this.#payload.tick(path, nowUs);
    // Not even with a probe before it has said who it is.
    else if (path.identify.idle && this.#payload.nextUs(path) <= nowUs) path.reverifyUs = nowUs;
  }

  nextUs(path: Path): number {
    if (!path.port.up) return Infinity;
    const questions = path.identify.idle ? path.reverifyUs : path.identify.dueUs;
    if (path.standing === STANDING_IDENTIFIED) return Math.min(questions, path.probe.dueUs);
    return path.standing === STANDING_PROVEN ? Math.min(questions, this.#payload.nextUs(path)) : questions;
  }

  /** An answer to one of the path's questions. `data` is the arena offset of what follows the ATA header. */
  answered(path: Path, copy: number, at: number, length: number, data: number, error: boolean, nowUs: number): void {
    const { view } = this.#core.arena;
    const sizeBytes = length - ATA_DATA;
    const failed = error || (view.getUint8(at + ATA_COMMAND) & ATA_STATUS_FAILURE) !== 0;
    path.roundTrip.sample(nowUs - this.#core.copies.sentUs[copy]);
    if (this.#exchanges.owns(path.identify, copy)) {
      const identity = failed ? undefined : decodeIdentify(view, data, sizeBytes);
      if (identity === undefined) path.target.obstacle = 'it answers IDENTIFY with an error or too little data';
      else this.#identified(path, identity, nowUs);
    } else if (this.#exchanges.owns(path.probe, copy)) {
      const code = error ? view.getUint8(at + ERROR) : 0;
      const whole = sizeBytes >= path.probe.sectors * SECTOR_BYTES;
      this.#probeAnswered(path, failed, code, whole, nowUs);
    }
  }

  /** The target's state, as it follows from its paths. */
  update(target: Target, nowUs: number): void {
    if (!this.states.update(target, nowUs)) return;
    // Nobody knows what it does meanwhile.
    target.starts++;
    this.#askStrangers(target, nowUs);
  }

  #mayAsk(path: Path): boolean {
    const { target } = path;
    if (target.volume === undefined || !target.volume.allows(path.port)) return false;
    return target.owner === undefined || target.owner === path.mac || !ownerWorks(target);
  }

  /** The owner is silent: perhaps the disk has moved to another MAC. */
  #askStrangers(target: Target, nowUs: number): void {
    for (const path of target.paths) {
      if (path.mac !== target.owner && path.port.up && this.#mayAsk(path)) this.begin(path, nowUs);
    }
  }

  #askIdentity(path: Path, nowUs: number): void {
    const { identify } = path;
    if (path.standing === STANDING_PROVEN && identify.attempts >= TIMEOUTS_UNTIL_SUSPECT) {
      // Idle, and silent even to this: not a path any more.
      this.begin(path, nowUs);
      return;
    }
    if (!this.#mayAsk(path) && path.target.volume !== undefined && identify.attempts >= TIMEOUTS_UNTIL_SUSPECT) {
      this.#exchanges.end(identify);
      return;
    }
    identify.kind = EXCHANGE_IDENTIFY;
    this.#exchanges.ask(path, identify, nowUs);
    identify.dueUs = nowUs + this.#pause(path);
  }

  #askRead(path: Path, nowUs: number): void {
    const { probe, target } = path;
    if (nowUs - path.identifiedUs > IDENTITY_FRESH_US) {
      // Who answered IDENTIFY then need not be who is there now.
      path.standing = STANDING_UNPROVEN;
      this.#askIdentity(path, nowUs);
      return;
    }
    probe.kind = EXCHANGE_READ;
    probe.sectors = Math.max(1, Math.min(SECTORS_UNPROVEN, path.found?.sectors ?? 1, path.port.sectorsMax));
    this.#exchanges.ask(path, probe, nowUs);
    if (probe.attempts > 1) {
      target.obstacle = `it answers discovery and IDENTIFY, but not a read of ${String(probe.sectors)} sectors at LBA 0`;
      if (target.state === TARGET_DOWN) target.reason = target.obstacle;
    }
    probe.dueUs = nowUs + this.#pause(path);
  }

  /** Questions are repeated with growing pauses. */
  #pause(path: Path): number {
    const pauseUs = path.pauseUs;
    path.pauseUs = Math.min(pauseUs * 2, PROBE_LONGEST_US);
    return pauseUs;
  }

  #identified(path: Path, identity: Identity, nowUs: number): void {
    const { target } = path;
    this.#exchanges.end(path.identify);
    if (target.volume === undefined) {
      learn(path, identity, nowUs);
      this.#listener.identified(path, identity);
      return;
    }
    path.found = identity;
    const { owner } = target;
    const known = path.standing === STANDING_CONFLICT;
    const verdict = this.#admission.judge(path, identity, nowUs);
    if (verdict === MISMATCH) this.#hold(path, known, nowUs);
    if (verdict !== ADMITTED) return;
    if (owner !== undefined && target.owner !== undefined && owner !== target.owner) this.#takenOver(target, target.owner);
    if (path.standing === STANDING_PROVEN) {
      // Not both at once: a target with a single buffer would drop the I/O that waits, again and again.
      if (path.doubt === DOUBT_NONE) this.#exchanges.query(path, nowUs);
      path.doubt = DOUBT_NONE;
      this.update(target, nowUs);
      return;
    }
    path.standing = STANDING_IDENTIFIED;
    path.identifiedUs = nowUs;
    path.pauseUs = PROBE_FIRST_US;
    path.probe.attempts = 0;
    path.probe.dueUs = nowUs;
    this.tick(path, nowUs);
  }

  /**
   * The volume has moved to another MAC: what was under way through the former one goes on here, and what that one still says
   * counts for nothing. It may be a machine that has stood still while another one took over its disk.
   */
  #takenOver(target: Target, owner: Mac): void {
    for (const other of target.paths) {
      if (other.mac === owner) continue;
      other.distrust();
      if (other.standing === STANDING_PROVEN) this.leave(other);
      else this.#recovery.loseAll(other);
    }
    startedAnew(target, this.#core.events);
  }

  /** Another disk answers in the volume's place: no I/O, and look again soon. Whatever else leads to this MAC leads there, too. */
  #hold(path: Path, known: boolean, nowUs: number): void {
    const { target } = path;
    path.distrust();
    this.#recovery.loseAll(path);
    path.doubt = DOUBT_NONE;
    path.reverifyUs = nowUs + PROBE_LONGEST_US;
    if (!known) {
      target.starts++;
      for (const other of target.paths) {
        if (other !== path && other.mac === path.mac && other.standing !== STANDING_CONFLICT) this.#doubtAll(other, nowUs);
      }
    }
    this.update(target, nowUs);
  }

  #probeAnswered(path: Path, failed: boolean, aoeError: number, whole: boolean, nowUs: number): void {
    const { target } = path;
    if (aoeError === AOE_ERROR_RESERVED && target.volume?.isInUse === true) {
      this.#refusals?.refused(path, nowUs);
      return;
    }
    if (path.standing === STANDING_PROVEN) {
      this.#payload.answered(path, !failed && whole, aoeError === AOE_ERROR_BAD_ARGUMENT, nowUs);
      return;
    }
    if (path.standing !== STANDING_IDENTIFIED) return;
    // An unreadable sector 0 is the disk's trouble, not the path's; a refusal, or a reply without its data, is the path's.
    if (aoeError !== 0 || (!failed && !whole)) {
      target.obstacle = aoeError === 0 ? 'its answers to reads are too short' : `it refuses a read: ${aoeErrorName(aoeError)}`;
      path.probe.attempts = 0;
      this.update(target, nowUs);
      return;
    }
    this.#exchanges.end(path.probe);
    this.#prove(path, nowUs);
  }

  #prove(path: Path, nowUs: number): void {
    const { target } = path;
    if (!this.#admission.takes(path)) {
      // Another MAC was faster: this one is a stranger until that one is silent.
      this.stop(path);
      return;
    }
    path.standing = STANDING_PROVEN;
    path.window.setLimit(target.framesMax);
    path.window.restart();
    path.roundTrip.silences = 0;
    path.doubts = 0;
    path.refused = false;
    path.reverifyUs = nowUs + REVERIFY_US * (1 + this.#core.random() / 4);
    target.obstacle = '';
    // Only now, and before larger frames: a target with a single buffer drops a question that comes on the heels of another.
    this.#exchanges.query(path, nowUs);
    this.#payload.start(path, nowUs);
    this.update(target, nowUs);
  }
}
