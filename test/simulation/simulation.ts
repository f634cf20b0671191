import { AWAY_US } from '../../src/aoe/limits.ts';
import { parseTargetAddress, readMac } from '../../src/aoe/address.ts';
import { COMMAND_CONFIG } from '../../src/aoe/constants.ts';
import { COMMAND, SHELF, SLOT, SRC_MAC, TAG } from '../../src/aoe/layout.ts';
import type { EngineEvents, NoticeKind } from '../../src/aoe/events.ts';
import type { Identity } from '../../src/aoe/identify.ts';
import type { Target } from '../../src/aoe/target.ts';
import { VOLUME_OPTIONS_DEFAULT, type Volume, type VolumeOptions } from '../../src/aoe/volume.ts';
import { Client, type Workload } from './client.ts';
import { EventQueue } from './event-queue.ts';
import { Violation } from './ledger.ts';
import { ModelDisk } from './model-disk.ts';
import { HEALTHY, ModelTarget, modelMac, type TargetSetup } from './model-target.ts';
import { GOOD_NETWORK, Nic, Segment, type Conditions, type Frame } from './network.ts';
import type { Random } from './random.ts';
import { SimulatedInitiator } from './simulated-initiator.ts';

/** Mistakes put into engine or target on purpose, to see that the simulation finds them. */
export const MUTATIONS = [
  /** New writes don't wait for late copies of older ones. */
  'no-quarantine',
  /** Requests of connections that are gone go on. */
  'no-abandon',
  /** The engine takes answers of long ago for answers of now. */
  'no-absence',
  /** No announcement of a target reaches the engine. */
  'deaf-to-announcements',
  /** Memory is received into although nothing is expected there any more. */
  'no-withdraw',
  /** A stranger's disk says that it is the volume's own: as good as an engine that doesn't look. */
  'same-identity',
  /** Targets acknowledge some writes without carrying them out, or flushes. */
  'forgets-writes',
  'lies-about-flush',
] as const;
export type Mutation = (typeof MUTATIONS)[number];

export interface SimulationOptions {
  readonly mutation?: Mutation | undefined;
  /** Told of everything that happens. */
  readonly trace?: ((nowUs: number, text: string) => void) | undefined;
}

/** After everything has healed, requests that were held must end within this. */
const RECOVERY_US = 8_000_000;
/** Turns of an idle engine per virtual second that are no reason to worry. */
const IDLE_TURNS_PER_SECOND = 50;
/** A sentence that comes more often is of no use to anybody. */
const TELLINGS_MAX = 50;
const CHUNKS = 96;

/** Everything of one seed: a network, targets with disks, the engine, and clients that know what they wrote. */
export class Simulation implements EngineEvents {
  readonly random: Random;
  readonly events = new EventQueue();
  readonly segments: Segment[] = [];
  readonly targets: ModelTarget[] = [];
  readonly clients: Client[] = [];
  readonly initiator: SimulatedInitiator;
  readonly mutation: Mutation | undefined;
  readonly quarantineUs: number;
  nowUs = 0;
  /** Until then troubles come and go; afterwards all is well and what was held must end. */
  healUs: number;
  volumeOptions: VolumeOptions = VOLUME_OPTIONS_DEFAULT;
  /** An attach may be refused (and is tried again): frames are duplicated, or there is a second target. */
  refusable = false;
  /** Disks that must not be touched. */
  readonly strangers: ModelDisk[] = [];
  /** Run when troubles end, besides what is always put right. */
  readonly healers: (() => void)[] = [];
  /** What the engine has told, and how often. */
  readonly notices = new Map<string, number>();
  readonly #trace: ((nowUs: number, text: string) => void) | undefined;
  #detached = 0;
  #disks = 0;

  constructor(random: Random, options: SimulationOptions) {
    this.random = random;
    this.mutation = options.mutation;
    this.#trace = options.trace;
    this.quarantineUs = random.logarithmic(100_000, 2_000_000);
    this.healUs = random.logarithmic(300_000, 3_000_000);
    const scarce = random.chance(0.15);
    this.initiator = new SimulatedInitiator({
      events: this,
      random,
      copies: scarce ? 2 ** random.integer(6, 9) : 4_096,
      fragments: scarce ? random.integer(2, 60) : 2_048,
      chunks: CHUNKS,
      quarantineUs: options.mutation === 'no-quarantine' ? 0 : this.quarantineUs,
      awayUs: options.mutation === 'no-absence' ? Infinity : AWAY_US,
      placedShare: random.pick([0, 0.3, 1]),
      withdraws: options.mutation !== 'no-withdraw',
      nowUs: () => this.nowUs,
      trace: (text) => this.trace(text),
      received: (frame) => !this.#tellRestart(frame) || options.mutation !== 'deaf-to-announcements',
    });
    this.initiator.afterUs = (delayUs, action) => this.afterUs(delayUs, action);
  }

  trace(text: () => string): void {
    this.#trace?.(this.nowUs, text());
  }

  afterUs(delayUs: number, action: () => void): void {
    this.events.at(this.nowUs + delayUs, action);
  }

  addSegment(conditions: Partial<Conditions>): Segment {
    const segment = new Segment(this.events, this.random, () => this.nowUs);
    segment.conditions = { ...GOOD_NETWORK, ...conditions };
    this.segments.push(segment);
    return segment;
  }

  newDisk(identity: Identity): ModelDisk {
    return new ModelDisk(++this.#disks, identity);
  }

  addTarget(setup: TargetSetup, disk: ModelDisk): ModelTarget {
    const target = new ModelTarget(setup, disk, this.events, this.random);
    this.targets.push(target);
    return target;
  }

  addNic(target: ModelTarget, segment: Segment, mtu: number): Nic {
    const nic = new Nic(
      segment,
      modelMac(
        2,
        this.segments.reduce((sum, { nics }) => sum + nics.length, 1),
      ),
      mtu,
    );
    nic.received = (at, frame) => target.receive(at, frame, this.nowUs);
    target.nics.push(nic);
    return nic;
  }

  addClient(target: ModelTarget, workload: Workload): Client {
    const client = new Client({
      target,
      workload,
      random: this.random,
      chunks: this.initiator.chunks,
      words: this.initiator.words,
      submitted: () => (this.initiator.awake = true),
      afterUs: (delayUs, action) => this.afterUs(delayUs, action),
      trace: (text) => this.trace(text),
    });
    this.clients.push(client);
    return client;
  }

  /** Attaches every client's volume, works until all is done, detaches, and looks for what is left behind. */
  run(): void {
    for (const client of this.clients) this.attach(client);
    this.events.at(this.healUs, () => this.heal());
    this.#turnUntil(
      () => this.nowUs >= this.healUs && this.clients.every(({ finished }) => finished),
      this.healUs + RECOVERY_US,
      () => `requests did not end although everything has been well for ${RECOVERY_US / 1e6} s: ${this.#unfinished()}`,
    );
    for (const client of this.clients) client.ledger.compareAll();
    for (const stranger of this.strangers) {
      if (stranger.accesses > 0) throw new Violation(`a stranger's disk was touched ${stranger.accesses} times`);
    }
    this.#detachAll();
    this.#idle();
    this.#checkLeaks();
  }

  attach(client: Client): void {
    const { shelf, slot } = client.target.setup;
    this.initiator.awake = true;
    const volume = this.initiator.engine.attach(shelf, slot, this.volumeOptions, this.nowUs);
    if (typeof volume === 'string') throw new Violation(`attach of e${shelf}.${slot} is refused: ${volume}`);
  }

  detach(volume: Volume, force: boolean): void {
    this.initiator.awake = true;
    this.initiator.engine.detach(volume, force, this.nowUs);
  }

  /** Everything is well from now on. */
  heal(): void {
    this.trace(() => 'everything is well from now on');
    for (const segment of this.segments) {
      segment.conditions = { ...GOOD_NETWORK, dropAboveBytes: segment.conditions.dropAboveBytes };
      for (const nic of segment.nics) nic.deaf = nic.mute = false;
    }
    for (const target of this.targets) {
      target.slowness = () => 0;
      const { sectorsMax, writeSectorsMax } = target.troubles;
      target.troubles = { ...HEALTHY, sectorsMax, writeSectorsMax };
      if (this.mutation === 'lies-about-flush') target.troubles.liesAboutFlush = true;
    }
    for (const at of this.initiator.interfaces) {
      at.stall = 0;
      at.cut = false;
      if (!at.up) {
        at.up = true;
        this.initiator.refresh(at);
      }
      if (at.port === undefined) this.initiator.takeUp(at);
    }
    for (const healer of this.healers) healer();
    for (const target of this.targets) if (!target.up) target.start(true);
  }

  notice(kind: NoticeKind, target: string, text: string): void {
    const told = (this.notices.get(text) ?? 0) + 1;
    this.notices.set(text, told);
    if (told > TELLINGS_MAX) throw new Violation(`the engine has told ${told} times: ${text}`);
    this.trace(() => `notice (${kind}${target === '' ? '' : ` ${target}`}): ${text}`);
  }

  attached(volume: Volume): void {
    this.trace(() => `${volume.name} is attached`);
    this.#clientOf(volume.name).start(volume);
  }

  attachRefused(target: Target, reason: string): void {
    this.trace(() => `attach of ${target.name} is refused: ${reason}`);
    if (!this.refusable) throw new Violation(`attach of ${target.name} is refused: ${reason}`);
    this.afterUs(100_000, () => this.attach(this.#clientOf(target.name)));
  }

  detached(target: Target): void {
    this.trace(() => `${target.name} is detached`);
    this.#detached++;
    this.#clientOf(target.name).stop();
    this.whenDetached(this.#clientOf(target.name));
  }

  /** For scenarios that detach in the middle. */
  whenDetached: (client: Client) => void = () => undefined;

  /** From an announcement of the MAC in use on, the engine must know what a restart may have undone. Answers whether this is one. */
  #tellRestart(frame: Frame): boolean {
    if (frame.length < 60) return false;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (view.getUint8(COMMAND) !== COMMAND_CONFIG || view.getUint32(TAG) !== 0) return false;
    const shelf = view.getUint16(SHELF);
    const slot = view.getUint8(SLOT);
    if (this.initiator.engine.find(shelf, slot)?.owner !== readMac(view, SRC_MAC)) return false;
    for (const { target, ledger } of this.clients) {
      if (target.setup.shelf === shelf && target.setup.slot === slot) ledger.restartKnown();
    }
    return true;
  }

  #clientOf(name: string): Client {
    const { shelf, slot } = parseTargetAddress(name);
    const client = this.clients.find(({ target: { setup } }) => setup.shelf === shelf && setup.slot === slot);
    if (client === undefined) throw new Violation(`the engine speaks of ${name}, which nobody uses`);
    return client;
  }

  #unfinished(): string {
    return this.clients
      .filter(({ finished }) => !finished)
      .map((client) => {
        const { shelf, slot } = client.target.setup;
        const target = this.initiator.engine.find(shelf, slot);
        return `${target?.name} is ${target?.state} (${target?.reason}; ${target?.obstacle}), ${client.underWay} requests under way, ${client.left} to come`;
      })
      .join('; ');
  }

  /** Lets time pass until `done`, or fails at `deadlineUs`. */
  #turnUntil(done: () => boolean, deadlineUs: number, failure: () => string): void {
    let turnUs = this.nowUs;
    let turnsNow = 0;
    while (!done()) {
      const nextUs = Math.min(turnUs, this.events.nextUs);
      if (nextUs > deadlineUs) throw new Violation(failure());
      if (nextUs > this.nowUs) {
        this.nowUs = Math.ceil(nextUs);
        turnsNow = 0;
      } else if (++turnsNow > 10_000) {
        throw new Violation('time stands still: the engine wants to be called again and again');
      }
      while (this.events.nextUs <= this.nowUs) this.events.take()();
      if (this.initiator.stopped) turnUs = Infinity;
      else if (this.initiator.awake || turnUs <= this.nowUs) turnUs = this.initiator.turn(this.nowUs);
    }
  }

  #detachAll(): void {
    this.whenDetached = () => undefined;
    this.#detached = 0;
    const volumes = this.clients.flatMap(({ volume }) => (volume === undefined ? [] : [volume]));
    for (const volume of volumes) this.detach(volume, false);
    this.#turnUntil(
      () => this.#detached === volumes.length,
      // Late copies of writes are waited for.
      this.nowUs + this.quarantineUs + 1_000_000,
      () => `only ${this.#detached} of ${volumes.length} volumes were detached`,
    );
  }

  /** Waits until late writes are forgotten; an engine with nothing to do must not be busy. */
  #idle(): void {
    const untilUs = this.nowUs + 2 * this.quarantineUs + 5_000_000;
    const turns = this.initiator.turns;
    const seconds = (untilUs - this.nowUs) / 1e6;
    let over = false;
    this.events.at(untilUs, () => (over = true));
    this.#turnUntil(
      () => over,
      untilUs,
      () => 'the end was not reached',
    );
    const made = this.initiator.turns - turns;
    if (made > 50 + seconds * IDLE_TURNS_PER_SECOND) throw new Violation(`an idle engine took ${made} turns in ${seconds} s`);
  }

  #checkLeaks(): void {
    const { engine, chunks, placement } = this.initiator;
    const left = [
      ['payload chunks', chunks.capacity - chunks.free],
      ['copies', engine.copies.used],
      ['fragments', engine.fragments.capacity - engine.fragments.free],
      ['places for answers', this.mutation === 'no-withdraw' ? 0 : placement.waiting],
    ] as const;
    for (const [what, count] of left) if (count !== 0) throw new Violation(`${count} ${what} are left when all is done`);
  }
}
