import { Engine } from '../aoe/engine.ts';
import { TAG_PREFIXES } from '../aoe/copies.ts';
import type { EngineEvents } from '../aoe/events.ts';
import { RequestPool } from '../block/request.ts';
import { ChunkPool } from '../buffers/chunk-pool.ts';
import { claimAbstractName } from '../system/abstract-lock.ts';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../system/constants.ts';
import { Epoll } from '../system/epoll.ts';
import type { EventFd } from '../system/eventfd.ts';
import { NbdLinkMonitor } from '../system/nbd-control.ts';
import { closeFd } from '../system/unix-socket.ts';
import { nowUs } from '../time/clock.ts';
import type { Freezing } from './freezing.ts';
import { Interfaces, type PortWatcher } from './interfaces.ts';
import { mapDataPathMemory, REQUESTS_MAX, type DataPathMemory } from './memory.ts';
import { NbdFront, NOT_KERNEL, type Connection, type FrontWatcher, type Listener } from './nbd-front.ts';
import { PORT_BLOCKED, PORT_DOWN, PORT_GONE, PORT_OK, PORT_TOO_LONG, type PortDriver, type PortOutcome } from './port-driver.ts';
import { RECEIVE_FRAMES } from './receive-ring.ts';
import type { WorkerOptions } from './messages.ts';

const EVENTS_MAX = 64;
/** A port whose queue the kernel reports as full, or whose frames do not fit, is tried again after this long. */
const RETRY_US = 2_000;
/** Rounds of sending in one turn, when batches fill up, before sockets are looked at again. */
const ROUNDS_PER_TURN = 8;
const RECEIVES_PER_TURN = 4;
/** Connections that can't be accepted are tried again after this long. */
const ACCEPT_AGAIN_US = 1_000_000;
const WAIT_MS_MAX = 60_000;

/** What a descriptor is, in the upper bits of its epoll token; the lower ones are its slot. */
const TOKEN_SHIFT = 16;
const TOKEN_CONTROL = 0;
const TOKEN_MONITOR = 1;
const TOKEN_PORT = 2;
const TOKEN_LISTENER = 3;
const TOKEN_CONNECTION = 4;
const TOKEN_LINKS = 5;

/** Takes the commands that wait for the data path. */
export interface CommandSource {
  /** Commands have been posted. */
  takeCommands(nowUs: number): void;
  notice(kind: 'interface' | 'nbd', target: string, text: string): void;
  /** A connection to the kernel has ended; with `goodbye` when the kernel has said that it will not come back. */
  kernelGone(connection: number, goodbye: boolean): void;
  /** The kernel says that the socket of its device /dev/nbd<index> is dead. */
  linkDead(index: number): void;
}

/**
 * The data path: one thread, one loop, no promise. It waits for packet sockets, NBD sockets, interface changes and commands; moves
 * what has come into the engines; lets the AoE engine run; and sends what they have made.
 */
export class Loop implements PortWatcher, FrontWatcher {
  readonly engine: Engine;
  readonly front: NbdFront;
  readonly interfaces: Interfaces;
  readonly memory: DataPathMemory;
  readonly chunks: ChunkPool;
  stopped = false;
  turns = 0;
  /** Connections that are being brought to a stop. */
  freezing: Freezing | undefined;
  readonly #source: CommandSource;
  readonly #control: EventFd;
  readonly #epoll = new Epoll(EVENTS_MAX);
  readonly #tagClaim: number;
  readonly #retryUs: number[] = [];
  readonly #requests = new RequestPool(REQUESTS_MAX);
  #nowUs = nowUs();
  /** This turn has left something to the next one, which must not wait for anybody. */
  #hurries = false;
  /** When listeners that rest are looked at again. */
  #acceptUs = Infinity;
  #links: NbdLinkMonitor | undefined;

  constructor(options: WorkerOptions, control: EventFd, events: EngineEvents, source: CommandSource) {
    this.#source = source;
    this.#control = control;
    this.memory = mapDataPathMemory(options.chunks);
    const { arena, chunksOffset, engine: engineMemory } = this.memory;
    this.chunks = new ChunkPool(chunksOffset, options.chunks);
    const [tagPrefix, claim] = claimTagPrefix();
    this.#tagClaim = claim;
    this.engine = new Engine({
      arena,
      memory: engineMemory,
      chunks: this.chunks,
      events,
      random: Math.random,
      tagPrefix,
      placement: { withdraw: (copy) => this.#withdraw(copy) },
    });
    this.front = new NbdFront(this.memory, this.chunks, this.#requests, this);
    this.interfaces = new Interfaces(this.memory, this.engine, tagPrefix, this);
    this.#epoll.add(control.fd, EPOLLIN, TOKEN_CONTROL << TOKEN_SHIFT);
    this.#epoll.add(this.interfaces.monitorFd, EPOLLIN, TOKEN_MONITOR << TOKEN_SHIFT);
  }

  /** Time of this turn. */
  get nowUs(): number {
    return this.#nowUs;
  }

  /** Runs until `stopped` is set by a command. */
  run(): void {
    while (!this.stopped) this.turn();
  }

  /** Waits once, and does everything that has become possible. */
  turn(): void {
    const count = this.#epoll.wait(this.#hurries ? 0 : this.#waitMs());
    this.#hurries = false;
    this.#nowUs = nowUs();
    this.turns++;
    for (let event = 0; event < count; event++) this.#dispatch(this.#epoll.token(event), this.#epoll.events(event));
    this.interfaces.advance(this.#nowUs);
    this.#retryBlocked();
    if (this.#acceptUs <= this.#nowUs) this.#acceptAgain();
    for (let round = 0; round < ROUNDS_PER_TURN; round++) {
      this.engine.advance(this.#nowUs);
      if (!this.#flushPorts()) break;
    }
    this.#sendReplies();
    this.freezing?.check(this.#nowUs);
  }

  close(): void {
    for (const connection of this.front.connections) if (connection !== undefined) this.front.close(connection);
    for (const listener of this.front.listeners) if (listener !== undefined) this.front.shutdown(listener);
    this.interfaces.close(this.#nowUs);
    this.#links?.close();
    this.#epoll.close();
    closeFd(this.#tagClaim);
  }

  opened(driver: PortDriver, slot: number): void {
    this.#retryUs[slot] = 0;
    this.#epoll.add(driver.fd, EPOLLIN, (TOKEN_PORT << TOKEN_SHIFT) | slot);
  }

  closing(driver: PortDriver): void {
    this.#epoll.remove(driver.fd);
  }

  listening(listener: Listener, fd: number): void {
    this.#epoll.add(fd, EPOLLIN, (TOKEN_LISTENER << TOKEN_SHIFT) | listener.slot);
  }

  resting(listener: Listener): void {
    if (listener.fd !== undefined) this.#epoll.modify(listener.fd, 0, (TOKEN_LISTENER << TOKEN_SHIFT) | listener.slot);
    this.#acceptUs = Math.min(this.#acceptUs, this.#nowUs + ACCEPT_AGAIN_US);
  }

  unlistening(fd: number): void {
    this.#epoll.remove(fd);
  }

  connected(connection: Connection): void {
    this.#epoll.add(connection.fd, EPOLLIN, (TOKEN_CONNECTION << TOKEN_SHIFT) | connection.slot);
  }

  disconnected(connection: Connection): void {
    this.#epoll.remove(connection.fd);
    // What it has asked for is ended by the engine, and then others may have its memory.
    this.#hurries = true;
    if (connection.kernelId !== NOT_KERNEL) this.#source.kernelGone(connection.kernelId, connection.session.saidGoodbye);
  }

  /** Hears of NBD devices whose socket has died. `fd` belongs to the loop from now on. */
  watchLinks(fd: number): void {
    this.#links?.close();
    this.#links = new NbdLinkMonitor(fd);
    this.#epoll.add(fd, EPOLLIN, TOKEN_LINKS << TOKEN_SHIFT);
  }

  interestChanged(connection: Connection): void {
    const events = (connection.waitsForMemory ? 0 : EPOLLIN) | (connection.waitsForRoom ? EPOLLOUT : 0);
    this.#epoll.modify(connection.fd, events, (TOKEN_CONNECTION << TOKEN_SHIFT) | connection.slot);
  }

  notice(targetOrText: string, text?: string): void {
    if (text === undefined) this.#source.notice('interface', '', targetOrText);
    else this.#source.notice('nbd', targetOrText, text);
  }

  #waitMs(): number {
    const dueUs = Math.min(
      this.engine.nextUs(this.#nowUs),
      this.#nextRetryUs(),
      this.interfaces.dueUs,
      this.#acceptUs,
      this.freezing?.dueUs ?? Infinity,
    );
    if (dueUs === Infinity) return WAIT_MS_MAX;
    const waitUs = dueUs - nowUs();
    return waitUs <= 0 ? 0 : Math.min(Math.ceil(waitUs / 1000), WAIT_MS_MAX);
  }

  #dispatch(token: number, events: number): void {
    const slot = token & ((1 << TOKEN_SHIFT) - 1);
    switch (token >> TOKEN_SHIFT) {
      case TOKEN_CONTROL:
        this.#control.drain();
        this.#source.takeCommands(this.#nowUs);
        return;
      case TOKEN_MONITOR:
        this.interfaces.readChanges(this.#nowUs);
        return;
      case TOKEN_LINKS:
        for (const index of this.#links?.read() ?? []) this.#source.linkDead(index);
        return;
      case TOKEN_PORT:
        this.#receiveFrames(slot);
        return;
      case TOKEN_LISTENER: {
        const listener = this.front.listeners[slot];
        if (listener !== undefined) this.front.accept(listener);
        return;
      }
      default:
        this.#serve(slot, events);
    }
  }

  #receiveFrames(slot: number): void {
    const driver = this.interfaces.drivers[slot];
    if (driver === undefined) return;
    for (let turn = 0; turn < RECEIVES_PER_TURN; turn++) {
      const received = driver.port.framesReceived;
      const outcome = driver.receive(this.#nowUs);
      if (outcome !== PORT_OK) {
        this.#failed(driver, slot, outcome);
        return;
      }
      if (driver.port.framesReceived - received < RECEIVE_FRAMES) return;
    }
  }

  #serve(slot: number, events: number): void {
    const connection = this.front.connections[slot];
    if (connection === undefined) return;
    if ((events & EPOLLOUT) !== 0) this.front.send(connection);
    // A client that is gone would wake the loop for ever while its session waits for memory.
    if (connection.waitsForMemory && (events & (EPOLLHUP | EPOLLERR)) !== 0) this.front.close(connection);
    if (!connection.closed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0) this.front.receive(connection);
  }

  /** Sends every port's batch; answers whether one was full, so that the engine may have more. */
  #flushPorts(): boolean {
    let more = false;
    const { drivers } = this.interfaces;
    for (let slot = 0; slot < drivers.length; slot++) {
      const driver = drivers[slot];
      if (driver === undefined) continue;
      more ||= driver.port.batch.full;
      const outcome = driver.flush();
      if (outcome !== PORT_OK) this.#failed(driver, slot, outcome);
    }
    return more;
  }

  /** Sends what is answered; then those go on that wait for memory, which may be what any of the others has just given back. */
  #sendReplies(): void {
    const { connections } = this.front;
    const { taken } = this.#requests;
    for (const connection of connections) {
      if (connection === undefined || connection.waitsForRoom) continue;
      if (connection.session.inFlight > 0 || connection.session.finished) this.front.send(connection);
    }
    for (const connection of connections) {
      if (connection?.waitsForMemory !== true) continue;
      this.front.receive(connection);
      if (!connection.waitsForMemory) this.#hurries = true;
    }
    if (this.#requests.taken !== taken) this.#hurries = true;
  }

  #failed(driver: PortDriver, slot: number, outcome: PortOutcome): void {
    switch (outcome) {
      case PORT_GONE:
        this.interfaces.gone(driver, this.#nowUs);
        return;
      case PORT_DOWN:
      case PORT_TOO_LONG:
        this.interfaces.refresh(this.#nowUs);
        break;
      case PORT_BLOCKED:
      default:
        break;
    }
    if (this.interfaces.drivers[slot] !== driver) return;
    this.engine.setBlocked(driver.port, true);
    this.#retryUs[slot] = this.#nowUs + RETRY_US;
  }

  #retryBlocked(): void {
    const { drivers } = this.interfaces;
    for (let slot = 0; slot < drivers.length; slot++) {
      const driver = drivers[slot];
      if (driver === undefined || !driver.port.blocked || this.#retryUs[slot] > this.#nowUs) continue;
      this.engine.setBlocked(driver.port, false);
    }
  }

  #acceptAgain(): void {
    this.#acceptUs = Infinity;
    for (const listener of this.front.listeners) {
      if (listener?.rests !== true || listener.fd === undefined) continue;
      this.#epoll.modify(listener.fd, EPOLLIN, (TOKEN_LISTENER << TOKEN_SHIFT) | listener.slot);
      this.front.accept(listener);
    }
  }

  #nextRetryUs(): number {
    let next = Infinity;
    const { drivers } = this.interfaces;
    for (let slot = 0; slot < drivers.length; slot++) {
      if (drivers[slot]?.port.blocked === true && this.#retryUs[slot] < next) next = this.#retryUs[slot];
    }
    return next;
  }

  #withdraw(copy: number): void {
    const port = this.engine.copies.path[copy]?.port;
    if (port === undefined) return;
    for (const driver of this.interfaces.drivers) {
      if (driver?.port === port) driver.ring.withdraw(copy);
    }
  }
}

/** A tag space that no other initiator in this network namespace uses. */
function claimTagPrefix(): [prefix: number, claim: number] {
  const start = Math.floor(Math.random() * TAG_PREFIXES);
  for (let tried = 0; tried < TAG_PREFIXES; tried++) {
    const prefix = (start + tried) % TAG_PREFIXES;
    const claim = claimAbstractName(`aoe-csi/tag-prefix/${String(prefix)}`);
    if (claim !== undefined) return [prefix, claim];
  }
  throw new Error(`all ${String(TAG_PREFIXES)} tag spaces of this network namespace are in use: too many initiators run here`);
}
