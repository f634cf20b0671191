import { isStationMac, MAC_BROADCAST, readMac, targetKey } from './address.ts';
import { readConfigResponse, type ConfigResponse } from './config.ts';
import { FLAG_ERROR, SHELF_BROADCAST, SLOT_BROADCAST } from './constants.ts';
import type { Core } from './core.ts';
import type { Exchanges } from './exchanges.ts';
import { SHELF, SLOT, SRC_MAC, TAG, VERSION_FLAGS } from './layout.ts';
import {
  DISCOVER_BURST_US,
  DISCOVER_INTERVAL_US,
  IDENTIFY_PARALLEL,
  IDENTIFY_TRIES,
  PATHS_PER_TARGET_MAX,
  PROBE_FIRST_US,
  TARGETS_MAX,
} from './limits.ts';
import { describeIdentity, isSameDisk } from './identity.ts';
import type { Identity } from './identify.ts';
import { Path, STANDING_PROVEN } from './path.ts';
import type { IdentityListener } from './health-listeners.ts';
import type { PathHealth } from './path-health.ts';
import type { PayloadProbe } from './payload-probe.ts';
import type { Port } from './port.ts';
import { Target } from './target.ts';

/** What attaching wants to hear of discovery. */
export interface SightingListener {
  /** A target with a volume answered a query (`tag` not 0) or announced itself. */
  sighted(path: Path, announcement: boolean, nowUs: number): void;
}

/** Knows which targets exist, on which paths; asks for them, and asks new ones what they are. */
export class Discovery implements IdentityListener {
  readonly #core: Core;
  readonly #exchanges: Exchanges;
  readonly #targets = new Map<number, Target>();
  #listener: SightingListener | undefined;
  #health: PathHealth | undefined;
  #payload: PayloadProbe | undefined;
  /** Targets without a volume whose identity is not known, oldest first, and those being asked. */
  readonly #unidentified: Path[] = [];
  readonly #identifying: Path[] = [];

  constructor(core: Core, exchanges: Exchanges) {
    this.#core = core;
    this.#exchanges = exchanges;
  }

  connect(health: PathHealth, payload: PayloadProbe, listener: SightingListener): void {
    this.#health = health;
    this.#payload = payload;
    this.#listener = listener;
  }

  targets(): Iterable<Target> {
    return this.#targets.values();
  }

  find(shelf: number, slot: number): Target | undefined {
    return this.#targets.get(targetKey(shelf, slot));
  }

  /** The target at an address, made when it is not known yet; undefined when too many are. */
  take(shelf: number, slot: number): Target | undefined {
    const known = this.find(shelf, slot);
    if (known !== undefined) return known;
    if (this.#targets.size >= TARGETS_MAX) {
      if (this.#core.counters.targetsRefused++ === 0) {
        this.#core.events.notice('limit', '', `more than ${String(TARGETS_MAX)} targets answer; further ones are not taken up`);
      }
      return undefined;
    }
    const target = new Target(shelf, slot);
    this.#targets.set(targetKey(shelf, slot), target);
    return target;
  }

  /** Asks all targets on an interface now, and then again as after its start. */
  restart(port: Port, nowUs: number): void {
    port.discoverBurst = 0;
    port.discoverUs = port.up ? nowUs : Infinity;
  }

  tick(nowUs: number): void {
    for (const port of this.#core.ports) {
      if (port !== undefined && port.up && port.discoverUs <= nowUs) this.#query(port, nowUs);
    }
    this.#askNew(nowUs);
  }

  nextUs(): number {
    let next = Infinity;
    for (const port of this.#core.ports) if (port !== undefined && port.up) next = Math.min(next, port.discoverUs);
    for (const path of this.#identifying) next = Math.min(next, path.identify.dueUs);
    return next;
  }

  /** A config response of `length` bytes with its header at `at`, which has been checked. */
  receive(port: Port, at: number, length: number, nowUs: number): void {
    const { view } = this.#core.arena;
    if ((view.getUint8(at + VERSION_FLAGS) & FLAG_ERROR) !== 0) return;
    const shelf = view.getUint16(at + SHELF);
    const slot = view.getUint8(at + SLOT);
    const mac = readMac(view, at + SRC_MAC);
    const response = readConfigResponse(view, at, length);
    if (response === undefined || shelf === SHELF_BROADCAST || slot === SLOT_BROADCAST || !isStationMac(mac)) {
      this.#core.counters.malformed++;
      return;
    }
    const target = this.take(shelf, slot);
    if (target === undefined) return;
    const path = target.paths.find((each) => each.port === port && each.mac === mac) ?? this.#addPath(target, port, mac);
    if (path === undefined) return;
    path.seenUs = nowUs;
    const tag = view.getInt32(at + TAG);
    countAnswer(path, tag);
    // What a stranger buffers, or has for a config string, says nothing of the volume's target.
    if (target.owner === undefined || target.owner === mac) this.#learn(target, response, nowUs);
    this.#sighted(path, tag === 0, nowUs);
  }

  identified(path: Path, identity: Identity): void {
    remove(this.#identifying, path);
    if (path.found === undefined) this.#askOthers(path);
    // Another disk at a second MAC is asked again and again, and told of once.
    if (path.told !== undefined && isSameDisk(path.told, identity)) return;
    path.told = identity;
    this.#core.events.notice(
      'target-found',
      path.target.name,
      `${path.target.name} found on ${path.port.name}: ${describeIdentity(identity)}`,
    );
  }

  /** The interface is gone for good: forget the paths through it. */
  forgetPort(port: Port): void {
    for (const target of this.#targets.values()) {
      for (const path of target.paths.filter((candidate) => candidate.port === port)) this.#forget(path);
    }
  }

  #query(port: Port, nowUs: number): void {
    this.#exchanges.broadcast(port, MAC_BROADCAST, SHELF_BROADCAST, SLOT_BROADCAST);
    port.discoverBurst++;
    const burst = DISCOVER_BURST_US[port.discoverBurst];
    port.discoverUs = nowUs + (burst ?? DISCOVER_INTERVAL_US * (1 + this.#core.random() / 4));
  }

  #addPath(target: Target, port: Port, mac: number): Path | undefined {
    if (target.paths.length >= PATHS_PER_TARGET_MAX && !this.#forgetOldest(target)) {
      this.#core.counters.targetsRefused++;
      return undefined;
    }
    const path = new Path(target, port, mac);
    target.paths.push(path);
    return path;
  }

  /** Makes room for a new path: a target that gets another MAC with each start must not become unreachable by it. */
  #forgetOldest(target: Target): boolean {
    let oldest: Path | undefined;
    for (const path of target.paths) {
      const unused = path.mac !== target.owner && path.standing !== STANDING_PROVEN;
      if (unused && (oldest === undefined || path.seenUs < oldest.seenUs)) oldest = path;
    }
    if (oldest === undefined) return false;
    this.#forget(oldest);
    return true;
  }

  #forget(path: Path): void {
    this.#health?.stop(path);
    remove(this.#identifying, path);
    remove(this.#unidentified, path);
    remove(path.target.paths, path);
  }

  #learn(target: Target, response: ConfigResponse, nowUs: number): void {
    target.bufferCount = response.bufferCount;
    target.sectorCount = response.sectorsPerFrame;
    target.firmware = response.firmware;
    target.configString = response.string;
    target.seenUs = nowUs;
  }

  #sighted(path: Path, announcement: boolean, nowUs: number): void {
    const { target } = path;
    if (target.volume !== undefined) {
      path.window.setLimit(target.framesMax);
      this.#payload?.refresh(path, nowUs);
      this.#listener?.sighted(path, announcement, nowUs);
      return;
    }
    const isKnown =
      target.identity !== undefined && target.paths.some(({ mac, found }) => mac === path.mac && found !== undefined);
    if (announcement) path.told = undefined;
    if (isKnown && !announcement) return;
    this.#want(path);
    this.#askNew(nowUs);
  }

  #want(path: Path): void {
    if (!this.#unidentified.includes(path) && !this.#identifying.includes(path)) this.#unidentified.push(path);
  }

  /** Contradicted by a MAC with another disk: theirs may have been replaced as well, and the announcement lost. */
  #askOthers({ target, mac }: Path): void {
    for (const path of target.paths) if (path.mac !== mac && path.found !== undefined) this.#want(path);
  }

  /** Asks unattached targets for their identity, a few at a time, a few times each. */
  #askNew(nowUs: number): void {
    while (this.#identifying.length < IDENTIFY_PARALLEL && this.#unidentified.length > 0) {
      const path = this.#unidentified.shift();
      if (path === undefined || path.target.volume !== undefined) continue;
      path.pauseUs = PROBE_FIRST_US;
      path.identify.dueUs = nowUs;
      this.#identifying.push(path);
    }
    for (const path of [...this.#identifying]) {
      const taken = path.target.volume !== undefined;
      if (!taken && path.identify.dueUs > nowUs) continue;
      if (taken || path.identify.attempts >= IDENTIFY_TRIES || !path.port.up) {
        remove(this.#identifying, path);
        if (!taken) this.#exchanges.end(path.identify);
        continue;
      }
      this.#health?.tick(path, nowUs);
    }
  }
}

/** Counts answers to the path's own query: two from one MAC mean two targets behind it (or a frame duplicated on its way). */
function countAnswer(path: Path, tag: number): void {
  if (tag === 0 || tag !== path.queryTag) return;
  path.queryAnswers++;
  if (path.queryAnswers === 1) path.queriesAnswered++;
  if (path.queryAnswers === 2) path.doubleAnswers++;
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
