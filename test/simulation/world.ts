import type { FlushKind, Identity } from '../../src/aoe/identify.ts';
import type { Workload } from './client.ts';
import { modelMac, type ModelTarget, type TargetSetup } from './model-target.ts';
import type { Conditions } from './network.ts';
import type { Simulation } from './simulation.ts';

/** What is usual, unless a scenario says otherwise. */
export interface WorldOptions {
  readonly targets?: number;
  readonly conditions?: Partial<Conditions>;
  readonly mtu?: number;
  readonly setup?: Partial<TargetSetup>;
  readonly identity?: Partial<Identity>;
  readonly workload?: Partial<Workload>;
}

const MTUS = [1500, 1500, 4200, 9000, 9000];
const FLUSHES: readonly FlushKind[] = ['ext', 'ext', 'plain', 'none'];

/** One segment, one interface, one to three targets with a card each, and a client for each. */
export function buildWorld(simulation: Simulation, options: WorldOptions = {}): void {
  const { random } = simulation;
  const mtu = options.mtu ?? random.pick(MTUS);
  const segment = simulation.addSegment({
    latencyUs: random.logarithmic(20, 2_000),
    jitterUs: random.chance(0.5) ? random.logarithmic(10, 500) : 0,
    ...options.conditions,
  });
  simulation.initiator.addInterface(segment, modelMac(1, 1), mtu);
  const targets =
    options.targets ??
    random.weighted([
      { weight: 6, count: 1 },
      { weight: 3, count: 2 },
      { weight: 1, count: 3 },
    ]).count;
  for (let slot = 0; slot < targets; slot++) {
    const disk = simulation.newDisk(identityOf(simulation, slot, options.identity));
    const target = simulation.addTarget(setupOf(simulation, slot, options.setup), disk);
    simulation.addNic(target, segment, mtu);
    simulation.addClient(target, workloadOf(simulation, targets, options.workload));
    troubleMutations(simulation, target);
  }
}

function troubleMutations(simulation: Simulation, target: ModelTarget): void {
  if (simulation.mutation === 'forgets-writes') target.troubles.forgetsWrites = 0.02;
  if (simulation.mutation === 'lies-about-flush') target.troubles.liesAboutFlush = true;
}

function setupOf({ random }: Simulation, slot: number, options: Partial<TargetSetup> = {}): TargetSetup {
  const spread = random.chance(0.4);
  return {
    shelf: 10,
    slot,
    bufferCount: random.pick([8, 16, 16, 64, 256]),
    serviceUs: random.logarithmic(1, 50),
    spreadUs: spread ? random.logarithmic(10, 5_000) : 0,
    versionlessAnnouncements: random.chance(0.5),
    ...options,
  };
}

export function identityOf({ random }: Simulation, slot: number, options: Partial<Identity> = {}): Identity {
  return {
    serial: `10.${slot}:model`,
    firmware: 'V1',
    model: 'model disk',
    sectors: random.chance(0.3) ? random.integer(2_100, 4_000) : random.logarithmic(40, 1_500),
    lba48: random.chance(0.7),
    flush: random.pick(FLUSHES),
    trim: random.chance(0.5),
    trimBlocksMax: 1,
    readZeroAfterTrim: true,
    physicalSectorBytes: 512,
    logicalSectorBytes: 512,
    rotational: true,
    ...options,
  };
}

function workloadOf({ random, healUs }: Simulation, targets: number, options: Partial<Workload> = {}): Workload {
  const requests = Math.ceil(random.integer(30, 150) / targets);
  return {
    requests,
    depth: random.pick([1, 4, 8, 16, 32]),
    pauseUs: Math.ceil(healUs / requests),
    sectorsTypical: random.pick([8, 16, 40]),
    sectorsMax: 2_048,
    hot: random.pick([0, 0.5, 0.95]),
    ...options,
  };
}
