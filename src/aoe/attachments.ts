import { STATUS_DEAD, STATUS_SHUTDOWN } from '../block/status.ts';
import { formatMac, MAC_BROADCAST } from './address.ts';
import type { Core } from './core.ts';
import type { Exchanges } from './exchanges.ts';
import { describeIdentity, identityMismatch, type DiskIdentity } from './identity.ts';
import { ATTACH_QUERY_US, ATTACH_SETTLE_US, SEARCH_US } from './limits.ts';
import type { PathHealth } from './path-health.ts';
import { STANDING_PROVEN, type Path } from './path.ts';
import type { Replies } from './replies.ts';
import {
  TARGET_ATTACHING,
  TARGET_DISCOVERED,
  TARGET_DOWN,
  TARGET_FENCED,
  TARGET_MISMATCH,
  TARGET_UP,
  type Target,
} from './target.ts';
import { Volume, type VolumeOptions } from './volume.ts';

/** Queries answered twice by one MAC that prove two targets behind it, when they are most of all. A few are duplicated frames. */
const DOUBLE_ANSWERS_MIN = 2;
const SETTLE_QUERIES = 4;
const SETTLE_PAUSE_US = ATTACH_SETTLE_US / SETTLE_QUERIES;
const NOBODY_ANSWERS = 'no target answers at this address on the allowed interfaces';

/** The life of a volume: looked for, checked, used, given up. */
export class Attachments {
  readonly #core: Core;
  readonly #exchanges: Exchanges;
  readonly #health: PathHealth;
  readonly #replies: Replies;

  constructor(core: Core, exchanges: Exchanges, health: PathHealth, replies: Replies) {
    this.#core = core;
    this.#exchanges = exchanges;
    this.#health = health;
    this.#replies = replies;
  }

  /**
   * Starts to look for the target. Ends with `attached` or `attachRefused`, or goes on until `detach`.
   * @param resumed the disk that it was when an earlier process had it. Its users are still there: they are served after `deadUs`
   * also without the target, so that their I/O fails
   */
  attach(target: Target, options: VolumeOptions, nowUs: number, resumed?: DiskIdentity): Volume {
    const volume = new Volume(target, options);
    if (resumed !== undefined) volume.resume(resumed, nowUs);
    volume.queryUs = nowUs;
    target.volume = volume;
    target.owner = undefined;
    target.identity = undefined;
    target.dead = false;
    target.obstacle = NOBODY_ANSWERS;
    this.#health.states.set(target, TARGET_ATTACHING, '', nowUs);
    if (volume.isInUse) target.downSinceUs = nowUs;
    for (const path of target.paths) {
      path.doubleAnswers = 0;
      path.queriesAnswered = 0;
      path.settling = false;
      path.reported = false;
      path.found = undefined;
      if (path.port.up && volume.allows(path.port)) this.#health.begin(path, nowUs);
    }
    this.tick(target, volume, nowUs);
    return volume;
  }

  /** A path of an attaching target has answered or announced itself: now listen a little for a second target at its address. */
  seen(path: Path, volume: Volume, nowUs: number): void {
    if (volume.ready) return;
    if (path.target.obstacle === NOBODY_ANSWERS) path.target.obstacle = 'it answers discovery, but not IDENTIFY';
    if (path.queriesAnswered >= SETTLE_QUERIES) return;
    if (volume.settleUs === Infinity || (path.queriesAnswered > 0 && !path.settling)) volume.settleUs = nowUs + ATTACH_SETTLE_US;
    path.settling = path.queriesAnswered > 0;
    volume.queryUs = Math.min(volume.queryUs, nowUs + SETTLE_PAUSE_US);
  }

  /**
   * No new I/O; ends when what is under way has ended, and no copy of a write may still arrive: who writes to the disk next, from
   * another node perhaps, must not be overtaken by it. `force` fails what is under way, and waits for nothing.
   */
  detach(target: Target, volume: Volume, force: boolean, nowUs: number): void {
    volume.closing = true;
    if (force) {
      this.#replies.failAll(target, STATUS_SHUTDOWN, nowUs);
      this.#release(target, nowUs);
    } else {
      this.tick(target, volume, nowUs);
    }
  }

  /** A volume whose users are still there is theirs again, but only to fail: its target is reserved for others, and has said who it is. */
  resumeFenced(path: Path, volume: Volume, nowUs: number): void {
    const { target, found } = path;
    target.owner = path.mac;
    target.identity = found;
    this.#decide(target, volume, nowUs);
  }

  tick(target: Target, volume: Volume, nowUs: number): void {
    if (volume.closing && target.requests === 0 && this.#core.lateWrites.lastUs(target) <= nowUs) {
      this.#release(target, nowUs);
      return;
    }
    if (volume.ready) this.#search(target, volume, nowUs);
    else this.#look(target, volume, nowUs);
    if (this.#deadAtUs(target, volume) <= nowUs) this.#giveUp(target, volume, nowUs);
  }

  nextUs(target: Target, volume: Volume): number {
    return Math.min(volume.queryUs, volume.settleUs, this.#deadAtUs(target, volume));
  }

  /** Whether the volume may use the interface changed. */
  setOptions(target: Target, volume: Volume, options: VolumeOptions, nowUs: number): void {
    volume.options = options;
    for (const path of target.paths) {
      path.window.setLimit(target.framesMax);
      if (!volume.allows(path.port)) this.#health.leave(path);
      else if (path.port.up && path.standing !== STANDING_PROVEN && path.identify.idle) this.#health.begin(path, nowUs);
    }
    this.#health.update(target, nowUs);
  }

  /** Asks for the target until it answers; then listens a little longer for another one at the same address. */
  #look(target: Target, volume: Volume, nowUs: number): void {
    if (volume.settleUs <= nowUs && isProven(target)) {
      this.#decide(target, volume, nowUs);
      return;
    }
    if (volume.settleUs <= nowUs) volume.settleUs = nowUs + ATTACH_SETTLE_US;
    if (volume.queryUs > nowUs) return;
    const known = target.paths.filter((path) => path.port.up && volume.allows(path.port));
    // A query that is not answered yet is not asked again at once: a second one would take its tag, and its answer be nobody's.
    for (const path of known) {
      if (path.queryAnswers > 0 || nowUs - path.queriedUs >= ATTACH_QUERY_US) this.#exchanges.query(path, nowUs);
    }
    this.#broadcast(target, volume);
    // Quickly while somebody has just begun to answer; patiently while nobody does, or whoever does can't be used.
    const settling = known.some((path) => path.queriesAnswered > 0 && path.queriesAnswered < SETTLE_QUERIES);
    volume.queryUs = nowUs + (settling ? SETTLE_PAUSE_US : ATTACH_QUERY_US);
    if (known.length > 0 && volume.settleUs === Infinity) volume.settleUs = nowUs + ATTACH_SETTLE_US;
  }

  /** Looks for a target that is not where it was: on a new MAC, or behind an interface that has come back as another. */
  #search(target: Target, volume: Volume, nowUs: number): void {
    if (target.state !== TARGET_DOWN && target.state !== TARGET_MISMATCH) {
      volume.queryUs = Infinity;
    } else if (volume.queryUs === Infinity) {
      volume.queryUs = nowUs + SEARCH_US;
    } else if (volume.queryUs <= nowUs) {
      volume.queryUs = nowUs + SEARCH_US;
      this.#broadcast(target, volume);
    }
  }

  #broadcast(target: Target, volume: Volume): void {
    for (const port of this.#core.ports) {
      if (port?.up === true && volume.allows(port)) this.#exchanges.broadcast(port, MAC_BROADCAST, target.shelf, target.slot);
    }
  }

  #decide(target: Target, volume: Volume, nowUs: number): void {
    const refusal = this.#refusal(target, volume);
    const { identity } = target;
    if (refusal !== undefined || identity === undefined) {
      this.#end(target, nowUs);
      this.#core.events.attachRefused(target, refusal ?? 'it has no identity');
      return;
    }
    volume.fit(identity);
    open(volume);
    if (target.state !== TARGET_FENCED) this.#health.states.set(target, TARGET_UP, '', nowUs);
    if (identity.flush === 'none') {
      this.#core.events.notice(
        'durability',
        target.name,
        `${target.name} offers no flush: a flush is acknowledged at once, and what survives a power loss is the target's own policy`,
      );
    }
    this.#core.events.attached(volume);
  }

  /** Why the target can't be used although a path works. */
  #refusal(target: Target, volume: Volume): string | undefined {
    const { identity } = target;
    if (identity === undefined || identity.sectors === 0) return 'it reports a size of 0';
    for (const path of target.paths) {
      if (path.doubleAnswers >= DOUBLE_ANSWERS_MIN && path.doubleAnswers * 2 > path.queriesAnswered) {
        return (
          `two targets answer as ${target.name} from one MAC, ${formatMac(path.mac)} on ${path.port.name}; ` +
          `stop one of them or give it another address`
        );
      }
      // One that is known has been told from strangers already.
      if (volume.isKnown || path.found === undefined || path.mac === target.owner) continue;
      if (identityMismatch(identity, path.found) !== undefined) {
        return (
          `two different disks answer as ${target.name}: ${describeIdentity(identity)} and, from ${formatMac(path.mac)} on ` +
          `${path.port.name}, ${describeIdentity(path.found)}; give one of them another address or keep the interfaces apart`
        );
      }
    }
    return undefined;
  }

  /** When held I/O fails; Infinity while there is no reason. */
  #deadAtUs(target: Target, { ready, isInUse, options: { deadUs } }: Volume): number {
    if (deadUs === 0 || !isInUse || target.dead) return Infinity;
    return (ready ? target.state === TARGET_UP : isProven(target)) ? Infinity : target.downSinceUs + deadUs;
  }

  /** `deadSeconds` have passed without an answer: held I/O fails, and new I/O too until something answers. */
  #giveUp(target: Target, volume: Volume, nowUs: number): void {
    const isResumed = !volume.ready;
    target.dead = true;
    if (isResumed) {
      open(volume);
      this.#health.update(target, nowUs);
    }
    const held = isResumed ? 'what its users have asked for since then fails' : `${String(target.requests)} held requests fail`;
    this.#core.events.notice('dead', target.name, `${target.name} has not answered for deadSeconds: ${held} with an I/O error`);
    this.#replies.failAll(target, STATUS_DEAD, nowUs);
    if (isResumed) this.#core.events.attached(volume);
  }

  #release(target: Target, nowUs: number): void {
    this.#end(target, nowUs);
    this.#core.events.detached(target);
  }

  #end(target: Target, nowUs: number): void {
    // First of all: without a volume nothing is asked any more, whatever the rest of this sets off.
    target.volume = undefined;
    target.owner = undefined;
    for (const path of target.paths) this.#health.stop(path);
    this.#health.states.set(target, TARGET_DISCOVERED, '', nowUs);
    target.downSinceUs = Infinity;
  }
}

/** I/O may come; attaching is over. */
function open(volume: Volume): void {
  volume.ready = true;
  volume.settleUs = Infinity;
  volume.queryUs = Infinity;
}

function isProven({ paths }: Target): boolean {
  return paths.some(({ standing }) => standing === STANDING_PROVEN);
}
