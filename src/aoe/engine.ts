import type { Arena, ArenaPlan } from '../buffers/arena.ts';
import type { ChunkPool } from '../buffers/chunk-pool.ts';
import { returnTo } from './absence.ts';
import { Attachments } from './attachments.ts';
import { COMMAND_ATA, COMMAND_CONFIG, COMMAND_RESERVE, SECTOR_BYTES } from './constants.ts';
import { Copies, NO_COPY } from './copies.ts';
import { Counters, NO_PLACEMENT, type Core, type ReplyPlacement } from './core.ts';
import { Discovery, type SightingListener } from './discovery.ts';
import { askEveryMac, type CommandRefusal, type MacAnswers } from './every-mac.ts';
import type { EngineEvents } from './events.ts';
import { Exchanges } from './exchanges.ts';
import { Fencing } from './fencing.ts';
import { FragmentPool } from './fragment.ts';
import { checkResponse, FRAME_OK } from './header.ts';
import { FreshIdentity } from './fresh-identity.ts';
import type { DiskIdentity } from './identity.ts';
import { LateWrites } from './late-writes.ts';
import { COMMAND } from './layout.ts';
import { AWAY_US, FRAME_SECTORS_MAX, PORTS_MAX, QUARANTINE_US, RTO_FLOOR_US } from './limits.ts';
import { PathHealth } from './path-health.ts';
import type { Path } from './path.ts';
import { PayloadProbe } from './payload-probe.ts';
import { Port, type PortInfo } from './port.ts';
import { Recovery } from './recovery.ts';
import { Replies } from './replies.ts';
import { Sender } from './sender.ts';
import { TargetCommands, type TargetCommand } from './target-commands.ts';
import type { Target } from './target.ts';
import { TransmitBatch } from './transmit-batch.ts';
import type { Volume, VolumeOptions } from './volume.ts';

/** Timers are looked at no more often than this while frames flow. */
const SCAN_US = 1_000;

/** Parts of an arena the engine works in; reserve before the arena exists. */
export interface EngineMemory {
  readonly zeroes: number;
  readonly batches: readonly number[];
}

export interface EngineOptions {
  readonly arena: Arena;
  readonly memory: EngineMemory;
  readonly chunks: ChunkPool;
  readonly events: EngineEvents;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Unique among the initiators of a network namespace; see TAG_PREFIXES. */
  readonly tagPrefix: number;
  readonly placement?: ReplyPlacement;
  /** For simulations: other lifetimes of frames, scarcer resources. */
  readonly quarantineUs?: number;
  readonly awayUs?: number;
  readonly copies?: number;
  readonly fragments?: number;
}

/** Reserves what an engine with `ports` interfaces needs. */
export function reserveEngineMemory(plan: ArenaPlan, ports = PORTS_MAX): EngineMemory {
  const zeroes = plan.reserve(FRAME_SECTORS_MAX * SECTOR_BYTES);
  return { zeroes, batches: Array.from({ length: ports }, () => TransmitBatch.reserve(plan)) };
}

/**
 * The AoE initiator without any I/O: frames, block requests and the time go in; frames to send, ended requests and the next deadline
 * come out. It never waits, never allocates for a request, and does the same for the same inputs.
 *
 * A driver calls `receive` for each frame, `submit` happens through volumes, then `advance` once; then it sends what every port's
 * batch holds and reports with `transmitted`.
 */
export class Engine implements SightingListener {
  readonly counters = new Counters();
  readonly copies: Copies;
  readonly fragments: FragmentPool;
  readonly #core: Core & { readonly ports: (Port | undefined)[]; readonly attached: Target[] };
  readonly #memory: EngineMemory;
  readonly #recovery: Recovery;
  readonly #sender: Sender;
  readonly #replies: Replies;
  readonly #health: PathHealth;
  readonly #payload: PayloadProbe;
  readonly #discovery: Discovery;
  readonly #attachments: Attachments;
  readonly #commands: TargetCommands;
  readonly #freshIdentity: FreshIdentity;
  readonly #exchanges: Exchanges;
  readonly #awayUs: number;
  #calledUs = Infinity;
  #scanUs = 0;
  #dueUs = Infinity;
  /** Something has come in since the timers were looked at, so that one may be due earlier than was found then. */
  #changed = false;

  constructor(options: EngineOptions) {
    this.#memory = options.memory;
    this.#awayUs = options.awayUs ?? AWAY_US;
    this.copies = new Copies(options.tagPrefix, Math.floor(options.random() * 0x1_0000_0000), options.copies);
    this.fragments = new FragmentPool(options.fragments);
    this.#core = {
      arena: options.arena,
      chunks: options.chunks,
      copies: this.copies,
      fragments: this.fragments,
      lateWrites: new LateWrites(this.copies, options.quarantineUs ?? QUARANTINE_US),
      placement: options.placement ?? NO_PLACEMENT,
      events: options.events,
      random: options.random,
      zeroes: options.memory.zeroes,
      counters: this.counters,
      ports: [],
      attached: [],
    };
    this.#recovery = new Recovery(this.#core);
    const exchanges = new Exchanges(this.#core);
    this.#exchanges = exchanges;
    this.#payload = new PayloadProbe(this.#core, exchanges);
    this.#discovery = new Discovery(this.#core, exchanges);
    this.#health = new PathHealth(this.#core, this.#recovery, exchanges, this.#payload, this.#discovery);
    this.#replies = new Replies(this.#core, this.#recovery, this.#health);
    this.#attachments = new Attachments(this.#core, exchanges, this.#health, this.#replies);
    this.#sender = new Sender(this.#core, this.#recovery);
    this.#commands = new TargetCommands(this.#core);
    this.#freshIdentity = new FreshIdentity(this.#health);
    this.#recovery.watch(this.#health);
    const fencing = new Fencing(this.#core, this.#recovery, this.#health, this.#replies, this.#commands, this.#attachments);
    this.#health.connect(fencing);
    this.#replies.connect(fencing);
    this.#discovery.connect(this.#health, this.#payload, this);
  }

  /** Takes up an interface; undefined when there are too many. */
  addPort(info: PortInfo, nowUs: number): Port | undefined {
    const { ports } = this.#core;
    let id = ports.indexOf(undefined);
    if (id < 0) id = ports.length;
    if (id >= this.#memory.batches.length) return undefined;
    const port = new Port(id, info.name, this.#core.arena, this.#memory.batches[id]);
    ports[id] = port;
    this.updatePort(port, info, nowUs);
    return port;
  }

  /** The interface's state, MAC or MTU as it is now. */
  updatePort(port: Port, info: PortInfo, nowUs: number): void {
    const was = { up: port.up, mac: port.mac, mtu: port.mtu };
    port.update(info);
    this.#scanUs = 0;
    if (port.up && !was.up) this.#discovery.restart(port, nowUs);
    for (const target of this.#core.attached) {
      for (const path of target.paths) {
        if (path.port !== port) continue;
        if (was.mac !== port.mac) path.refreshHeader();
        this.#portChanged(path, was, nowUs);
      }
      this.#health.update(target, nowUs);
    }
    if (was.mac === port.mac) return;
    for (const target of this.#discovery.targets()) for (const path of target.paths) if (path.port === port) path.refreshHeader();
  }

  /** The interface is gone or no longer allowed; its I/O goes on over others, or waits. */
  removePort(port: Port, nowUs: number): void {
    this.updatePort(port, { name: port.name, mac: port.mac, mtu: port.mtu, up: false }, nowUs);
    this.#discovery.forgetPort(port);
    this.#core.ports[port.id] = undefined;
    for (const target of this.#core.attached) this.#health.update(target, nowUs);
  }

  /**
   * A received frame: `length` bytes in all, its headers at `at`, what follows the 36 bytes of ATA headers at `data`. (Other
   * commands' frames must be in one piece at `at`.)
   */
  receive(port: Port, at: number, length: number, data: number, nowUs: number): void {
    const { view } = this.#core.arena;
    port.framesReceived++;
    this.#changed = true;
    this.#called(nowUs);
    this.#recovery.nowUs = nowUs;
    if (checkResponse(view, at, length) !== FRAME_OK) {
      this.counters.malformed++;
      return;
    }
    const command = view.getUint8(at + COMMAND);
    if (command === COMMAND_ATA) {
      this.#replies.receive(port, at, length, data, nowUs);
    } else if (command === COMMAND_CONFIG) {
      this.#scanUs = 0;
      this.#commands.receive(port, command, at, length);
      this.#discovery.receive(port, at, length, nowUs);
    } else if (command !== COMMAND_RESERVE || !this.#commands.receive(port, command, at, length)) {
      this.counters.unexpected++;
    }
  }

  /** Runs timers and fills the ports' batches. */
  advance(nowUs: number): void {
    this.#recovery.nowUs = nowUs;
    this.#called(nowUs);
    if (nowUs >= this.#scanUs) this.#scan(nowUs);
    for (const target of this.#core.attached) {
      const { volume } = target;
      if (volume === undefined) continue;
      if (target.abandoned.length > 0) this.#replies.endAbandoned(target, nowUs);
      if (volume.closing) this.#attachments.tick(target, volume, nowUs);
      if (!target.hasWork) continue;
      if (this.#health.assure(target, nowUs)) this.#changed = true;
      this.#sender.pump(target, volume, nowUs);
    }
  }

  /** The first `sent` frames of the port's batch have gone out; the others have not, and are queued again. */
  transmitted(port: Port, sent: number): void {
    const { batch } = port;
    port.framesSent += sent;
    if (sent < batch.count) this.#changed = true;
    for (let index = batch.count - 1; index >= sent; index--) {
      if (batch.copy[index] !== NO_COPY) this.#sender.unsend(batch.copy[index]);
    }
    batch.reset();
  }

  /** The kernel takes no frames on this port now, or takes them again. */
  setBlocked(port: Port, blocked: boolean): void {
    port.blocked = blocked;
  }

  /** When `advance` must be called again at the latest. */
  nextUs(nowUs: number): number {
    if (this.#scanUs === 0) return nowUs;
    if (this.#changed) return this.#scanUs > nowUs ? this.#scanUs : nowUs;
    const flowingUs = nowUs + RTO_FLOOR_US;
    if (this.#dueUs <= flowingUs) return this.#dueUs;
    for (const target of this.#core.attached) if (target.inFlight > 0) return flowingUs;
    return this.#dueUs;
  }

  /** Asks every interface for targets now. */
  discover(nowUs: number): void {
    for (const port of this.#core.ports) if (port !== undefined) this.#discovery.restart(port, nowUs);
    this.#scanUs = 0;
  }

  targets(): Iterable<Target> {
    return this.#discovery.targets();
  }

  find(shelf: number, slot: number): Target | undefined {
    return this.#discovery.find(shelf, slot);
  }

  /**
   * Starts to attach a target, known or not. `events.attached` or `events.attachRefused` ends it; until then `detach` cancels it and
   * `target.obstacle` says what it waits for. Returns why it can't even start, as a sentence. `resumed`: see Attachments.attach.
   */
  attach(shelf: number, slot: number, options: VolumeOptions, nowUs: number, resumed?: DiskIdentity): Volume | string {
    const target = this.#discovery.take(shelf, slot);
    if (target === undefined) return 'too many targets are known; restart the initiator with fewer interfaces';
    if (target.volume !== undefined) return `${target.name} is attached already`;
    if (!this.#core.attached.includes(target)) this.#core.attached.push(target);
    this.#scanUs = 0;
    return this.#attachments.attach(target, options, nowUs, resumed);
  }

  /** Gives a volume back once its requests have ended, to the last copy of a write; `force` fails them now. Ends with `events.detached`. */
  detach(volume: Volume, force: boolean, nowUs: number): void {
    this.#recovery.nowUs = nowUs;
    this.#scanUs = 0;
    this.#attachments.detach(volume.target, volume, force, nowUs);
  }

  /**
   * Asks a known target about its config string or reserve list, at each of its MACs, until they have answered or `deadlineUs` comes;
   * `done` hears of it. Returns why it can't even be asked.
   */
  command(
    target: Target,
    command: TargetCommand,
    deadlineUs: number,
    nowUs: number,
    done: (answers: MacAnswers | undefined) => void,
  ): CommandRefusal | undefined {
    this.#scanUs = 0;
    return askEveryMac(this.#commands, target, command, deadlineUs, nowUs, done);
  }

  /**
   * Asks a volume's target now who it is and how large, without holding I/O: `target.identity` is up to date when `done` is called with
   * true. With false, the target has not answered as the disk that it was until `deadlineUs`.
   */
  identify(target: Target, deadlineUs: number, done: (answered: boolean) => void): void {
    this.#scanUs = 0;
    this.#freshIdentity.ask(target, deadlineUs, done);
  }

  /**
   * When no frame that this engine has sent can change the volume any more, if nothing is asked of it from now on; Infinity while
   * requests are under way.
   */
  quietUs({ target }: Volume): number {
    return target.requests > 0 ? Infinity : this.#core.lateWrites.lastUs(target);
  }

  setOptions(volume: Volume, options: VolumeOptions, nowUs: number): void {
    this.#recovery.nowUs = nowUs;
    this.#scanUs = 0;
    this.#attachments.setOptions(volume.target, volume, options, nowUs);
  }

  sighted(path: Path, announcement: boolean, nowUs: number): void {
    const { volume } = path.target;
    if (volume === undefined) return;
    if (announcement) this.#health.announced(path, nowUs);
    else this.#health.sighted(path, nowUs);
    this.#attachments.seen(path, volume, nowUs);
  }

  /** Before anything that has come meanwhile is looked at. */
  #called(nowUs: number): void {
    const awayUs = nowUs - this.#calledUs;
    this.#calledUs = nowUs;
    if (awayUs <= this.#awayUs) return;
    for (const target of this.#core.attached) if (target.volume !== undefined) returnTo(target, awayUs, this.#exchanges, nowUs);
    this.#scanUs = 0;
  }

  #portChanged(path: Path, was: { up: boolean; mac: number; mtu: number }, nowUs: number): void {
    const { port, target } = path;
    if (!port.up && was.up) {
      this.#health.leave(path);
    } else if (port.up && !was.up && target.volume?.allows(port) === true) {
      this.#health.begin(path, nowUs);
    } else if (port.mtu !== was.mtu) {
      this.#payload.refresh(path, nowUs);
    }
  }

  /** Looks at every timer, and finds when the next one is due. */
  #scan(nowUs: number): void {
    this.#scanUs = nowUs + SCAN_US;
    this.#changed = false;
    this.#discovery.tick(nowUs);
    this.#commands.tick(nowUs);
    this.#freshIdentity.tick(nowUs);
    const { attached } = this.#core;
    for (let index = attached.length - 1; index >= 0; index--) {
      const target = attached[index];
      this.#scanTarget(target, nowUs);
      if (target.volume === undefined && target.lateCount === 0) attached.splice(index, 1);
    }
    // Only now: what one timer does may set another.
    let dueUs = Math.min(this.#discovery.nextUs(), this.#commands.nextUs(), this.#freshIdentity.nextUs());
    for (const target of attached) dueUs = Math.min(dueUs, this.#targetDueUs(target));
    this.#dueUs = Math.max(dueUs, nowUs + SCAN_US);
  }

  #scanTarget(target: Target, nowUs: number): void {
    for (const path of target.paths) {
      this.#recovery.findTimedOut(path, nowUs);
      if (target.volume !== undefined) this.#health.tick(path, nowUs);
    }
    if (target.lateCount > 0 && this.#core.lateWrites.expire(target, nowUs)) this.#replies.releaseHeld(target);
    if (target.volume !== undefined) this.#attachments.tick(target, target.volume, nowUs);
  }

  #targetDueUs(target: Target): number {
    let dueUs = this.#core.lateWrites.nextUs(target);
    for (const path of target.paths) dueUs = Math.min(dueUs, this.#recovery.nextUs(path), this.#health.nextUs(path));
    return target.volume === undefined ? dueUs : Math.min(dueUs, this.#attachments.nextUs(target, target.volume));
  }
}
