import { readMac, type Mac } from '../../src/aoe/address.ts';
import { COMMAND_CONFIG } from '../../src/aoe/constants.ts';
import { NO_COPY } from '../../src/aoe/copies.ts';
import { Engine, reserveEngineMemory } from '../../src/aoe/engine.ts';
import type { EngineEvents } from '../../src/aoe/events.ts';
import { ATA_DATA, COMMAND, CONFIG_STRING, DST_MAC, ETHERNET_HEADER_BYTES, FRAME_BYTES_MIN, TAG } from '../../src/aoe/layout.ts';
import type { Port } from '../../src/aoe/port.ts';
import { ArenaPlan, plainArena, type Arena } from '../../src/buffers/arena.ts';
import { CHUNK_BYTES, ChunkPool } from '../../src/buffers/chunk-pool.ts';
import { checkEngine } from './invariants.ts';
import { Violation } from './ledger.ts';
import type { Frame, Segment, Station } from './network.ts';
import { RandomPlacement } from './placement.ts';
import type { Random } from './random.ts';

const RECEIVE_BYTES = 65_536;
const PORTS = 3;
/** What a socket keeps while nobody reads it. */
const SOCKET_FRAMES = 200;

export interface InitiatorOptions {
  readonly events: EngineEvents;
  readonly random: Random;
  readonly chunks: number;
  readonly quarantineUs: number;
  readonly awayUs: number;
  /** What the engine has of each; small numbers make requests wait for each other. */
  readonly copies: number;
  readonly fragments: number;
  readonly placedShare: number;
  readonly withdraws: boolean;
  readonly nowUs: () => number;
  readonly trace: (text: () => string) => void;
  /** Told of every frame that the engine is about to be given; false keeps it away. */
  readonly received: (frame: Frame) => boolean;
}

/** A network interface of the simulated host. */
export class Interface implements Station {
  readonly name: string;
  readonly segment: Segment;
  mac: Mac;
  mtu: number;
  up = true;
  /** When the MTU was changed last. */
  changedUs = -1;
  /** The engine's view of it; undefined while it is not taken up. */
  port: Port | undefined;
  /** Frames vanish in both directions although the carrier is there. */
  cut = false;
  /** How often the kernel takes only some of the frames it is given. */
  stall = 0;
  readonly #received: (at: Interface, frame: Frame) => void;

  constructor(name: string, segment: Segment, mac: Mac, mtu: number, received: (at: Interface, frame: Frame) => void) {
    this.name = name;
    this.segment = segment;
    this.mac = mac;
    this.mtu = mtu;
    this.#received = received;
    segment.stations.push(this);
  }

  get info(): { name: string; mac: Mac; mtu: number; up: boolean } {
    return { name: this.name, mac: this.mac, mtu: this.mtu, up: this.up };
  }

  deliver(frame: Frame): void {
    if (this.up && !this.cut) this.#received(this, frame);
  }
}

/** What src/initiator is in production: carries frames between engine and network, and calls the engine when it wants to be called. */
export class SimulatedInitiator {
  readonly arena: Arena;
  readonly words: Int32Array;
  readonly chunks: ChunkPool;
  readonly engine: Engine;
  readonly interfaces: Interface[] = [];
  readonly placement: RandomPlacement;
  /** Something has come in since the last turn. Without, the loop sleeps until the engine's own deadline. */
  awake = true;
  /** The process is stopped: frames wait in its sockets as far as there is room. */
  stopped = false;
  readonly #waiting: [at: Interface, frame: Frame][] = [];
  framesSent = 0;
  framesReceived = 0;
  turns = 0;
  readonly #options: InitiatorOptions;
  readonly #receiveAt: number;
  readonly #tags = new Set<number>();

  constructor(options: InitiatorOptions) {
    this.#options = options;
    const plan = new ArenaPlan();
    const memory = reserveEngineMemory(plan, PORTS);
    const payload = plan.reserve(options.chunks * CHUNK_BYTES);
    this.#receiveAt = plan.reserve(RECEIVE_BYTES);
    this.arena = plainArena(Math.ceil(plan.sizeBytes / 4) * 4);
    this.words = new Int32Array(this.arena.bytes.buffer);
    this.chunks = new ChunkPool(payload, options.chunks);
    this.placement = new RandomPlacement(this.arena, options.random, options.placedShare, options.withdraws);
    this.engine = new Engine({
      arena: this.arena,
      memory,
      chunks: this.chunks,
      events: options.events,
      random: () => options.random.next(),
      tagPrefix: options.random.integer(0, 63),
      placement: this.placement,
      quarantineUs: options.quarantineUs,
      awayUs: options.awayUs,
      copies: options.copies,
      fragments: options.fragments,
    });
  }

  addInterface(segment: Segment, mac: Mac, mtu: number): Interface {
    const name = `eth${this.interfaces.length}`;
    const added = new Interface(name, segment, mac, mtu, (at, frame) => this.#receive(at, frame));
    this.interfaces.push(added);
    this.takeUp(added);
    return added;
  }

  /** Gives the interface to the engine; `release` takes it away again. */
  takeUp(at: Interface): void {
    this.awake = true;
    at.port = this.engine.addPort(at.info, this.#options.nowUs());
  }

  release(at: Interface): void {
    this.awake = true;
    if (at.port !== undefined) this.engine.removePort(at.port, this.#options.nowUs());
    at.port = undefined;
  }

  /** Tells the engine what the interface is like now. */
  refresh(at: Interface): void {
    this.awake = true;
    if (at.port !== undefined) this.engine.updatePort(at.port, at.info, this.#options.nowUs());
  }

  /** The process goes on, with what its sockets have kept. */
  goOn(): void {
    this.stopped = false;
    this.awake = true;
    for (const [at, frame] of this.#waiting.splice(0)) this.#receive(at, frame);
  }

  /** One turn of the loop; answers when the next one must be. */
  turn(nowUs: number): number {
    this.turns++;
    this.awake = false;
    this.engine.advance(nowUs);
    checkEngine(this.engine, nowUs);
    for (const at of this.interfaces) if (at.port !== undefined) this.#transmit(at, at.port);
    return this.engine.nextUs(nowUs);
  }

  #transmit(at: Interface, port: Port): void {
    const { batch } = port;
    const { random } = this.#options;
    let taken = batch.count;
    if (batch.count > 0 && random.chance(at.stall)) {
      taken = random.integer(0, batch.count - 1);
      this.engine.setBlocked(port, true);
      const wait = random.logarithmic(20, 20_000);
      this.#options.trace(() => `${at.name} takes ${taken} of ${batch.count} frames, blocked for ${wait} us`);
      this.afterUs(wait, () => {
        this.awake = true;
        if (at.port === port) this.engine.setBlocked(port, false);
      });
    }
    for (let index = 0; index < taken; index++) {
      if (!this.#fits(at, batch.headerLength[index] + batch.payloadLength[index])) taken = index;
      else this.#send(at, port, index);
    }
    this.engine.transmitted(port, taken);
    if (batch.count !== 0) throw new Violation(`${at.name}: frames are left in the batch after it was transmitted`);
  }

  /** Set by the world: runs an action later. */
  afterUs: (delayUs: number, action: () => void) => void = () => undefined;

  #send(at: Interface, port: Port, index: number): void {
    const { batch } = port;
    const { bytes } = this.arena;
    const headerAt = batch.header(index);
    const headerLength = batch.headerLength[index];
    const payloadLength = batch.payloadLength[index];
    const frame = new Uint8Array(headerLength + payloadLength);
    frame.set(bytes.subarray(headerAt, headerAt + headerLength));
    const payloadAt = batch.payloadOffset[index];
    if (payloadLength > 0) frame.set(bytes.subarray(payloadAt, payloadAt + payloadLength), headerLength);
    this.#checkFrame(at, frame);
    if (batch.copy[index] !== NO_COPY && batch.replyLength[index] > 0) {
      this.placement.expect(batch.copy[index], batch.replyOffset[index], batch.replyLength[index]);
    }
    this.framesSent++;
    this.#options.trace(() => `${at.name} > ${describe(frame)}`);
    if (at.up && !at.cut) at.segment.toTarget(frame, readMac(new DataView(frame.buffer), DST_MAC));
  }

  /** The kernel refuses longer frames. That may happen only to frames made before the engine could know of a new MTU. */
  #fits(at: Interface, length: number): boolean {
    if (length <= at.mtu + ETHERNET_HEADER_BYTES) return true;
    if (at.changedUs === this.#options.nowUs()) return false;
    throw new Violation(`${at.name}: a frame of ${length} bytes does not fit an MTU of ${at.mtu}`);
  }

  #checkFrame(at: Interface, frame: Frame): void {
    if (frame.length < FRAME_BYTES_MIN)
      throw new Violation(`${at.name}: a frame of ${frame.length} bytes is too short for Ethernet`);
    const view = new DataView(frame.buffer);
    const end = view.getUint8(COMMAND) === COMMAND_CONFIG ? CONFIG_STRING : ATA_DATA;
    if (frame.length === FRAME_BYTES_MIN && frame.subarray(end).some((byte) => byte !== 0)) {
      throw new Violation(`${at.name}: somebody's old bytes pad a frame: ${describe(frame)}`);
    }
    const tag = view.getUint32(TAG);
    if (this.#tags.has(tag)) throw new Violation(`${at.name}: tag ${tag.toString(16)} was used before`);
    this.#tags.add(tag);
  }

  /** A frame out of thin air. */
  inject(at: Interface, frame: Frame): void {
    if (at.port !== undefined && at.up) this.#receive(at, frame);
  }

  /** A frame arrives: its headers go into the ring, its data too or to where data is waited for. */
  #receive(at: Interface, frame: Frame): void {
    const { port } = at;
    if (port === undefined) return;
    if (this.stopped) {
      if (this.#waiting.length < SOCKET_FRAMES) this.#waiting.push([at, frame]);
      return;
    }
    this.awake = true;
    this.framesReceived++;
    this.#options.trace(() => `${at.name} < ${describe(frame)}`);
    this.arena.bytes.set(frame, this.#receiveAt);
    const placedAt = this.placement.place(frame);
    if (placedAt !== undefined) this.arena.bytes.fill(0xdb, this.#receiveAt + ATA_DATA, this.#receiveAt + frame.length);
    if (!this.#options.received(frame)) return;
    this.engine.receive(port, this.#receiveAt, frame.length, placedAt ?? this.#receiveAt + ATA_DATA, this.#options.nowUs());
  }
}

function describe(frame: Frame): string {
  const hex = (from: number, to: number): string =>
    Array.from(frame.subarray(from, to), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${frame.length} bytes: flags ${hex(14, 15)} error ${hex(15, 16)} command ${hex(19, 20)} tag ${hex(20, 24)} ata ${hex(24, 34)}`;
}
