import type { EngineEvents, NoticeKind } from '../../src/aoe/events.ts';
import type { Identity } from '../../src/aoe/identify.ts';
import type { DiskIdentity } from '../../src/aoe/identity.ts';
import { ATA_COMMAND, ATA_COUNT, COMMAND } from '../../src/aoe/layout.ts';
import type { Target } from '../../src/aoe/target.ts';
import { VOLUME_OPTIONS_DEFAULT, type Volume, type VolumeOptions } from '../../src/aoe/volume.ts';
import { BlockRequest, type BlockOp, type RequestOwner } from '../../src/block/request.ts';
import { EventQueue } from './event-queue.ts';
import { ModelDisk } from './model-disk.ts';
import { ModelTarget, modelMac, type TargetSetup } from './model-target.ts';
import { GOOD_NETWORK, Nic, Segment, type Conditions, type Frame } from './network.ts';
import { AWAY_US } from '../../src/aoe/limits.ts';
import { Random } from './random.ts';
import { SimulatedInitiator, type Interface } from './simulated-initiator.ts';

/** A frame that the engine has sent. */
export interface SentFrame {
  readonly timeUs: number;
  readonly command: number;
  /** ATA command and sectors, for ATA frames. */
  readonly opcode: number;
  readonly sectors: number;
  readonly bytes: Frame;
}

const IDENTITY: Identity = {
  serial: 'laboratory',
  firmware: 'V1',
  model: 'model disk',
  sectors: 2_048,
  lba48: true,
  flush: 'ext',
  trim: true,
  trimBlocksMax: 1,
  readZeroAfterTrim: true,
  physicalSectorBytes: 512,
  logicalSectorBytes: 512,
  rotational: true,
};

const SETUP: TargetSetup = {
  shelf: 10,
  slot: 3,
  bufferCount: 16,
  serviceUs: 10,
  spreadUs: 0,
  versionlessAnnouncements: false,
};

/** The parts of the simulation without its chances: one engine, targets and networks that do exactly what a test says. */
export class Laboratory implements EngineEvents, RequestOwner {
  nowUs = 0;
  readonly events = new EventQueue();
  readonly segments: Segment[] = [];
  readonly initiator: SimulatedInitiator;
  readonly sent: SentFrame[] = [];
  readonly notices: { readonly kind: NoticeKind; readonly text: string }[] = [];
  readonly refusals: string[] = [];
  readonly volumes: Volume[] = [];
  readonly detachments: string[] = [];
  /** When each request ended. */
  readonly endedUs = new Map<BlockRequest, number>();
  /** Frames to be lost on their way to a target. */
  loses: (frame: SentFrame) => boolean = () => false;
  readonly #random = new Random(1);
  readonly #quarantineUs: number;
  #turnUs = 0;
  #nics = 0;

  constructor(quarantineUs = 2_000_000) {
    this.#quarantineUs = quarantineUs;
    this.initiator = new SimulatedInitiator({
      events: this,
      random: this.#random,
      chunks: 16,
      quarantineUs: this.#quarantineUs,
      awayUs: AWAY_US,
      copies: 1_024,
      fragments: 512,
      placedShare: 0,
      withdraws: true,
      nowUs: () => this.nowUs,
      trace: () => undefined,
      received: () => true,
    });
    this.initiator.afterUs = (delayUs, action) => this.events.at(this.nowUs + delayUs, action);
  }

  get engine(): SimulatedInitiator['engine'] {
    return this.initiator.engine;
  }

  addSegment(conditions: Partial<Conditions> = {}): Segment {
    const segment = new Segment(this.events, this.#random, () => this.nowUs);
    segment.conditions = { ...GOOD_NETWORK, ...conditions };
    this.segments.push(segment);
    const deliver = segment.toTarget.bind(segment);
    segment.toTarget = (frame, to) => {
      const command = frame[COMMAND];
      const sent = { timeUs: this.nowUs, command, opcode: frame[ATA_COMMAND], sectors: frame[ATA_COUNT], bytes: frame };
      this.sent.push(sent);
      if (!this.loses(sent)) deliver(frame, to);
    };
    return segment;
  }

  addInterface(segment = this.segments[0], mtu = 1_500): Interface {
    return this.initiator.addInterface(segment, modelMac(1, this.initiator.interfaces.length + 1), mtu);
  }

  /** A target with a card in each of the segments. `mac` gives it somebody else's address. */
  addTarget(
    setup: Partial<TargetSetup> = {},
    identity: Partial<Identity> = {},
    segments: readonly Segment[] = [this.segments[0]],
    mac?: number,
  ): ModelTarget {
    const disk = new ModelDisk(this.#nics + 1, { ...IDENTITY, ...identity });
    const target = new ModelTarget({ ...SETUP, ...setup }, disk, this.events, this.#random);
    for (const segment of segments) this.#addNic(target, segment, mac ?? modelMac(2, ++this.#nics));
    return target;
  }

  /** The target gets other network cards in place of its own. */
  move(target: ModelTarget): void {
    for (const { segment } of target.nics.splice(0)) {
      for (const nic of segment.nics) nic.received = () => undefined;
      this.#addNic(target, segment, modelMac(2, ++this.#nics));
    }
  }

  #addNic(target: ModelTarget, segment: Segment, mac: number): void {
    const nic = new Nic(segment, mac, 9_000);
    nic.received = (at, frame) => target.receive(at, frame, this.nowUs);
    target.nics.push(nic);
  }

  /** Starts an attach; `attached` waits for its end. `resumed`: the disk that it was when an earlier process had it. */
  attach(target: ModelTarget, options: Partial<VolumeOptions> = {}, resumed?: DiskIdentity): Volume {
    this.initiator.awake = true;
    const { shelf, slot } = target.setup;
    const volume = this.engine.attach(shelf, slot, { ...VOLUME_OPTIONS_DEFAULT, ...options }, this.nowUs, resumed);
    if (typeof volume === 'string') throw new Error(volume);
    return volume;
  }

  /** An attached volume of a target. */
  attachedVolume(target: ModelTarget, options: Partial<VolumeOptions> = {}): Volume {
    const count = this.volumes.length;
    this.attach(target, options);
    this.runUntil(() => this.volumes.length > count, 2_000_000);
    return this.volumes[count];
  }

  /** The usual: one segment, interface, target, volume. */
  static simple(mtu = 1_500, setup: Partial<TargetSetup> = {}): { lab: Laboratory; target: ModelTarget; volume: Volume } {
    const lab = new Laboratory();
    lab.addSegment();
    lab.addInterface(lab.segments[0], mtu);
    const target = lab.addTarget(setup);
    const volume = lab.attachedVolume(target);
    // Until all payload sizes have been probed.
    lab.run(20_000);
    lab.sent.length = 0;
    return { lab, target, volume };
  }

  submit(volume: Volume, op: BlockOp, lba = 0, sectors = 0, owner: RequestOwner = this, fua = false): BlockRequest {
    const request = new BlockRequest();
    request.op = op;
    request.lba = lba;
    request.sectors = sectors;
    request.owner = owner;
    request.fua = fua;
    request.chunk = this.initiator.chunks.allocate(Math.max(sectors, 1) * 512);
    this.initiator.awake = true;
    volume.submit(request);
    return request;
  }

  ended(request: BlockRequest): boolean {
    return this.endedUs.has(request);
  }

  run(durationUs: number): void {
    const untilUs = this.nowUs + durationUs;
    this.#turn(() => false, untilUs);
    this.nowUs = untilUs;
  }

  runUntil(done: () => boolean, withinUs: number): void {
    if (!this.#turn(done, this.nowUs + withinUs)) throw new Error(`not done within ${withinUs / 1e3} ms of virtual time`);
  }

  completed(request: BlockRequest): void {
    this.endedUs.set(request, this.nowUs);
    this.initiator.chunks.release(request.chunk);
  }

  notice(kind: NoticeKind, _target: string, text: string): void {
    this.notices.push({ kind, text });
  }

  attached(volume: Volume): void {
    this.volumes.push(volume);
  }

  attachRefused(_target: Target, reason: string): void {
    this.refusals.push(reason);
  }

  detached(target: Target): void {
    this.detachments.push(target.name);
  }

  #turn(done: () => boolean, untilUs: number): boolean {
    while (!done()) {
      if (this.initiator.awake) this.#turnUs = this.nowUs;
      const nextUs = Math.min(this.#turnUs, this.events.nextUs);
      if (nextUs > untilUs) return false;
      this.nowUs = Math.max(this.nowUs, Math.ceil(nextUs));
      while (this.events.nextUs <= this.nowUs) this.events.take()();
      if (this.initiator.awake || this.#turnUs <= this.nowUs) this.#turnUs = this.initiator.turn(this.nowUs);
    }
    return true;
  }
}
