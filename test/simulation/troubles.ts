import { OP_READ } from '../../src/block/request.ts';
import { STATUS_DEAD, STATUS_FENCED, STATUS_IO_ERROR, STATUS_SHUTDOWN } from '../../src/block/status.ts';
import type { Client } from './client.ts';
import { injectGarbage } from './garbage.ts';
import { GROWTH_SECTORS } from './model-disk.ts';
import { ModelTarget, modelMac } from './model-target.ts';
import type { Interface } from './simulated-initiator.ts';
import { stopInitiator } from './stopped-initiator.ts';
import type { Simulation } from './simulation.ts';
import { identityOf, type WorldOptions } from './world.ts';

/** One thing that goes wrong, in a world that is otherwise as any other. */
export interface Trouble {
  readonly name: string;
  /** Can happen together with others. */
  readonly combines: boolean;
  readonly plan: (simulation: Simulation) => void;
  /** What its world must be like. */
  readonly world?: WorldOptions;
}

/** A disk is away at least this long before another one appears: longer than I/O takes to find out that it is gone, under way or not. */
const REPLACED_AFTER_US = 20_000_000;

/** A disk that has announced itself is known for what it is after this time: the longest latency there and back, and some pauses. */
const SWAP_SEEN_US = 500_000;

/** Calls `begin` at some time while clients work, and `end` some time later, but not after all has healed; a few times over. */
function sometimes(simulation: Simulation, longestUs: number, begin: () => void, end: () => void): void {
  const { random, healUs } = simulation;
  for (let count = random.integer(1, 3); count > 0; count--) {
    const startUs = random.integer(0, healUs);
    simulation.events.at(startUs, begin);
    simulation.events.at(Math.min(startUs + random.logarithmic(500, longestUs), healUs), end);
  }
}

function eachTarget(
  simulation: Simulation,
  longestUs: number,
  begin: (target: ModelTarget) => void,
  end: (target: ModelTarget) => void,
): void {
  for (const target of simulation.targets)
    sometimes(
      simulation,
      longestUs,
      () => begin(target),
      () => end(target),
    );
}

function eachInterface(
  simulation: Simulation,
  longestUs: number,
  begin: (at: Interface) => void,
  end: (at: Interface) => void,
): void {
  for (const at of simulation.initiator.interfaces)
    sometimes(
      simulation,
      longestUs,
      () => begin(at),
      () => end(at),
    );
}

function restart(simulation: Simulation, losing: boolean): void {
  const { random } = simulation;
  eachTarget(
    simulation,
    1_000_000,
    (target) => target.crash(losing),
    (target) => {
      if (!target.up) target.start(random.chance(0.7));
    },
  );
}

/**
 * One target goes away with I/O under way, comes back as something else, and at last as itself. Whoever has seen it go must not
 * touch what came instead.
 */
function replace(
  simulation: Simulation,
  become: (target: ModelTarget) => void,
  becomeAgain: (target: ModelTarget) => void,
): void {
  const { random, events, clients } = simulation;
  const client = random.pick(clients);
  const { target } = client;
  const goneUs = random.integer(Math.floor(simulation.healUs / 10), simulation.healUs);
  const otherUs = goneUs + REPLACED_AFTER_US;
  const backUs = otherUs + random.logarithmic(1_000, 10_000_000);
  simulation.healUs = backUs + 1_000_000;
  events.at(goneUs, () => {
    // Before the attach has ended nobody can know which disk is meant.
    if (client.volume?.ready !== true) return;
    // A volume that nobody uses at the time must be as safe as one that is asked for something.
    client.resting = random.chance(0.5);
    if (!client.resting) client.submitRead();
    target.crash(true);
    simulation.afterUs(REPLACED_AFTER_US + random.integer(0, 1_000_000), () => (client.resting = false));
    events.at(otherUs, () => {
      become(target);
      target.start(random.chance(0.7));
    });
    events.at(backUs, () => {
      target.crash(false);
      becomeAgain(target);
      target.start(random.chance(0.7));
    });
  });
}

/**
 * Another disk takes over under the same MAC in the middle of I/O: it gets what was on its way to the former one, and answers it,
 * after it has announced itself. Nothing that it says may reach a client; and when it has been seen, nothing more is sent to it.
 */
function swap(simulation: Simulation): void {
  const { random, events, clients, strangers } = simulation;
  const client = random.pick(clients);
  const { target } = client;
  const swappedUs = random.integer(0, simulation.healUs);
  const backUs = swappedUs + random.logarithmic(1_000, 10_000_000);
  simulation.healUs = Math.max(simulation.healUs, backUs + 1_000_000);
  events.at(swappedUs, () => {
    if (client.volume?.ready !== true) return;
    const stranger = simulation.newDisk({ ...target.disk.identity, serial: 'other' });
    target.crash(false);
    target.disk = stranger;
    target.start(true);
    simulation.afterUs(SWAP_SEEN_US, () => {
      stranger.accesses = 0;
      strangers.push(stranger);
    });
    events.at(backUs, () => {
      target.crash(false);
      target.disk = client.disk;
      target.start(random.chance(0.7));
    });
  });
}

/** A second way to the same targets: another interface, on the same network or on one of its own. */
function addSecondWay(simulation: Simulation, ownNetwork: boolean): void {
  const { random, segments, initiator, targets } = simulation;
  const { mtu } = initiator.interfaces[0];
  const segment = ownNetwork
    ? simulation.addSegment({ ...segments[0].conditions, latencyUs: random.logarithmic(20, 2_000) })
    : segments[0];
  initiator.addInterface(segment, modelMac(1, 2), mtu);
  if (ownNetwork) for (const target of targets) simulation.addNic(target, segment, mtu);
}

function allow(simulation: Simulation, allows: Client['allows']): void {
  for (const client of simulation.clients) client.allows = allows;
}

export const TROUBLES: readonly Trouble[] = [
  {
    name: 'partition',
    combines: true,
    plan: (simulation) => {
      for (const { nics } of simulation.segments) {
        for (const nic of nics) {
          const [deaf, mute] = simulation.random.pick([
            [true, true],
            [true, false],
            [false, true],
          ]);
          const begin = (): void => void Object.assign(nic, { deaf, mute });
          sometimes(simulation, 2_000_000, begin, () => Object.assign(nic, { deaf: false, mute: false }));
        }
      }
    },
  },
  { name: 'restart', combines: true, plan: (simulation) => restart(simulation, false) },
  { name: 'power-failure', combines: true, plan: (simulation) => restart(simulation, true) },
  {
    name: 'jumbo-drop',
    combines: true,
    world: { mtu: 9000 },
    plan: (simulation) => {
      const { random, segments, healUs } = simulation;
      const fromUs = random.chance(0.5) ? 0 : random.integer(0, healUs);
      simulation.events.at(fromUs, () => (segments[0].conditions.dropAboveBytes = random.pick([1_514, 4_214, 5_000])));
    },
  },
  { name: 'no-queue', combines: false, world: { setup: { bufferCount: 0 } }, plan: () => undefined },
  { name: 'short-queue', combines: false, world: { setup: { bufferCount: 2 }, workload: { depth: 16 } }, plan: () => undefined },
  {
    name: 'slow-disk',
    combines: false,
    world: { setup: { serviceUs: 1_500, spreadUs: 20_000, bufferCount: 64 } },
    plan: () => undefined,
  },
  {
    name: 'slow-sectors',
    combines: true,
    plan: ({ random, targets }) => {
      for (const target of targets) {
        const every = random.integer(5, 50);
        const slowUs = random.logarithmic(20_000, 1_000_000);
        target.slowness = (_opcode, lba) => (lba % every === 0 ? slowUs : 0);
      }
    },
  },
  {
    name: 'busy-target',
    combines: true,
    plan: (simulation) => {
      const { random, healUs } = simulation;
      for (const target of simulation.targets) {
        for (let count = random.integer(1, 4); count > 0; count--) {
          const pauseUs = random.logarithmic(10_000, 1_500_000);
          simulation.events.at(random.integer(0, healUs), () => target.pause(pauseUs, simulation.nowUs));
        }
      }
    },
  },
  {
    name: 'unavailable',
    combines: true,
    plan: (simulation) =>
      eachTarget(
        simulation,
        1_000_000,
        ({ troubles }) => (troubles.unavailable = true),
        ({ troubles }) => (troubles.unavailable = false),
      ),
  },
  {
    name: 'stuck-disk',
    combines: true,
    plan: (simulation) =>
      eachTarget(
        simulation,
        1_000_000,
        ({ troubles }) => (troubles.stuck = true),
        ({ troubles }) => (troubles.stuck = false),
      ),
  },
  {
    name: 'reserved',
    combines: false,
    plan: (simulation) => {
      allow(simulation, (status) => status === STATUS_FENCED);
      const target = simulation.random.pick(simulation.targets);
      const { random, events, healUs } = simulation;
      // Also behind our back, while the target is away.
      if (random.chance(0.5)) restart(simulation, false);
      events.at(random.integer(healUs / 10, healUs), () => (target.troubles.reservedFor = [modelMac(3, 1)]));
    },
  },
  {
    name: 'replaced-disk',
    combines: false,
    plan: (simulation) => {
      const { random, mutation } = simulation;
      const other = mutation === 'same-identity' ? {} : random.pick([{ serial: 'other' }, { model: 'other model' }]);
      replace(
        simulation,
        (target) => {
          const stranger = simulation.newDisk({ ...target.disk.identity, ...other });
          const own = target.disk;
          simulation.strangers.push(stranger);
          target.disk = stranger;
          simulation.healers.push(() => (target.disk = own));
        },
        (target) => {
          const client = simulation.clients.find((candidate) => candidate.target === target);
          if (client !== undefined) target.disk = client.disk;
        },
      );
    },
  },
  {
    name: 'swapped-disk',
    combines: false,
    // The announcement must come before all answers: what comes before it nobody can tell from the right disk's.
    world: { conditions: { jitterUs: 0, lossToTarget: 0, lossToInitiator: 0 } },
    plan: swap,
  },
  { name: 'stopped-initiator', combines: false, plan: stopInitiator },
  {
    name: 'shrunk-disk',
    combines: false,
    plan: (simulation) => {
      const resize = (target: ModelTarget, by: number): void => {
        const { identity, sectors } = target.disk;
        target.disk.identity = { ...identity, sectors: sectors + by };
      };
      replace(
        simulation,
        (target) => resize(target, -simulation.random.integer(1, target.disk.sectors - 1)),
        (target) => resize(target, 0),
      );
    },
  },
  {
    name: 'grown-disk',
    combines: true,
    plan: (simulation) =>
      eachTarget(
        simulation,
        500_000,
        (target) => {
          target.crash(false);
          target.disk.identity = { ...target.disk.identity, sectors: target.disk.sectors + GROWTH_SECTORS };
        },
        (target) => {
          if (!target.up) target.start(true);
        },
      ),
  },
  {
    name: 'stranger-beside',
    combines: false,
    plan: (simulation) => {
      const { random, clients, segments, healUs } = simulation;
      const client = random.pick(clients);
      const disk = simulation.newDisk(identityOf(simulation, 9, { sectors: client.disk.identity.sectors }));
      simulation.strangers.push(disk);
      const stranger = new ModelTarget(client.target.setup, disk, simulation.events, random);
      simulation.addNic(stranger, segments[0], 9000);
      stranger.up = false;
      simulation.healers.push(() => stranger.crash(false));
      simulation.events.at(random.integer(0, healUs), () => {
        if (client.volume?.ready === true) stranger.start(random.chance(0.7));
      });
      restart(simulation, false);
    },
  },
  {
    name: 'short-reads',
    combines: false,
    plan: (simulation) => {
      const often = simulation.random.pick([0.02, 0.2, 1]);
      allow(simulation, (status, { op }) => status === STATUS_IO_ERROR && op === OP_READ);
      eachTarget(
        simulation,
        500_000,
        ({ troubles }) => (troubles.shortReads = often),
        ({ troubles }) => (troubles.shortReads = 0),
      );
    },
  },
  {
    name: 'bad-sectors',
    combines: false,
    plan: (simulation) => {
      const { random } = simulation;
      for (const { disk } of simulation.targets) {
        if (random.chance(0.3)) disk.bad.add(0);
        for (let count = random.integer(0, 3); count > 0; count--) disk.bad.add(random.integer(0, disk.sectors - 1));
      }
      for (const client of simulation.clients) {
        client.allows = (status, { lba, sectors }) => status === STATUS_IO_ERROR && client.disk.isBad(lba, sectors);
      }
    },
  },
  {
    name: 'refuses-large-frames',
    combines: true,
    world: { mtu: 9000 },
    plan: (simulation) => {
      for (const { troubles } of simulation.targets) {
        simulation.events.at(
          simulation.random.pick([0, simulation.healUs / 2]),
          () =>
            (troubles[simulation.random.pick(['sectorsMax', 'writeSectorsMax'] as const)] = simulation.random.pick([
              2, 3, 8, 15,
            ])),
        );
      }
    },
  },
  {
    name: 'two-interfaces',
    combines: true,
    plan: (simulation) => {
      addSecondWay(simulation, false);
      eachInterface(
        simulation,
        1_000_000,
        (at) => (at.cut = true),
        (at) => (at.cut = false),
      );
    },
  },
  {
    name: 'two-networks',
    combines: true,
    plan: (simulation) => {
      addSecondWay(simulation, true);
      eachInterface(
        simulation,
        1_000_000,
        (at) => (at.cut = true),
        (at) => (at.cut = false),
      );
    },
  },
  {
    name: 'interface-down',
    combines: true,
    plan: (simulation) => {
      if (simulation.random.chance(0.5)) addSecondWay(simulation, simulation.random.chance(0.5));
      const turn = (at: Interface, up: boolean): void => {
        at.up = up;
        simulation.initiator.refresh(at);
      };
      eachInterface(
        simulation,
        1_000_000,
        (at) => turn(at, false),
        (at) => turn(at, true),
      );
    },
  },
  {
    name: 'interface-removed',
    combines: true,
    plan: (simulation) => {
      if (simulation.random.chance(0.5)) addSecondWay(simulation, simulation.random.chance(0.5));
      const { initiator } = simulation;
      eachInterface(
        simulation,
        1_000_000,
        (at) => initiator.release(at),
        (at) => {
          if (at.port === undefined) initiator.takeUp(at);
        },
      );
    },
  },
  {
    name: 'mtu-change',
    combines: true,
    plan: (simulation) => {
      const set = (at: Interface): void => {
        at.mtu = simulation.random.pick([1_500, 2_000, 4_200, 9_000]);
        at.changedUs = simulation.nowUs;
        simulation.initiator.refresh(at);
      };
      eachInterface(simulation, 1_000_000, set, set);
      for (const { nics } of simulation.targets) {
        for (const nic of nics) {
          const change = (): void => void (nic.mtu = simulation.random.pick([1_500, 4_200, 9_000]));
          if (simulation.random.chance(0.5)) sometimes(simulation, 1_000_000, change, change);
        }
      }
    },
  },
  {
    name: 'stalls',
    combines: true,
    plan: (simulation) => {
      for (const at of simulation.initiator.interfaces) at.stall = simulation.random.pick([0.01, 0.2, 0.7]);
    },
  },
  {
    name: 'dead-seconds',
    combines: false,
    plan: (simulation) => {
      const { random } = simulation;
      simulation.volumeOptions = { ...simulation.volumeOptions, deadUs: random.logarithmic(50_000, 500_000) };
      allow(simulation, (status) => status === STATUS_DEAD);
      restart(simulation, random.chance(0.5));
    },
  },
  {
    name: 'forced-detach',
    combines: false,
    plan: (simulation) => {
      const { random, events, healUs } = simulation;
      allow(simulation, (status) => status === STATUS_SHUTDOWN);
      restart(simulation, false);
      for (const client of simulation.clients) {
        events.at(random.integer(0, healUs), () => {
          if (client.volume !== undefined) simulation.detach(client.volume, true);
        });
      }
      simulation.whenDetached = (client) => {
        // Also from within the engine's own call.
        if (random.chance(0.3)) simulation.attach(client);
        else simulation.afterUs(random.logarithmic(1, 100_000), () => simulation.attach(client));
      };
    },
  },
  {
    name: 'reconnecting-client',
    combines: true,
    plan: (simulation) => {
      const { random, events, healUs, mutation } = simulation;
      for (const client of simulation.clients) {
        for (let count = random.integer(1, 8); count > 0; count--) {
          events.at(random.integer(0, healUs), () => client.reconnect(mutation !== 'no-abandon'));
        }
      }
    },
  },
  {
    name: 'moved-target',
    combines: true,
    plan: (simulation) => {
      const { random, events, healUs } = simulation;
      const target = random.pick(simulation.targets);
      const goneUs = random.integer(0, healUs);
      events.at(goneUs, () => {
        target.crash(random.chance(0.5));
        for (const nic of target.nics) nic.received = () => undefined;
        const { segment, mtu } = target.nics[0];
        target.nics.length = 0;
        simulation.addNic(target, segment, mtu);
      });
      events.at(goneUs + random.logarithmic(10_000, 500_000), () => {
        if (!target.up) target.start(random.chance(0.5));
      });
    },
  },
  {
    name: 'changing-options',
    combines: true,
    plan: (simulation) => {
      const { random, initiator } = simulation;
      addSecondWay(simulation, random.chance(0.5));
      const names = [undefined, [], ['eth0'], ['eth1'], ['eth0', 'eth1']];
      const set = (interfaces: readonly string[] | undefined): void => {
        for (const { volume } of simulation.clients) {
          if (volume === undefined || volume.closing) continue;
          const options = { ...volume.options, interfaces, maxOutstanding: random.pick([1, 4, 128]) };
          initiator.awake = true;
          initiator.engine.setOptions(volume, options, simulation.nowUs);
        }
      };
      sometimes(
        simulation,
        500_000,
        () => set(random.pick(names)),
        () => set(random.pick(names)),
      );
      simulation.healers.push(() => set(undefined));
    },
  },
  {
    name: 'late-start',
    combines: true,
    plan: (simulation) => {
      for (const target of simulation.targets) {
        target.up = false;
        simulation.events.at(simulation.random.integer(0, simulation.healUs), () => {
          if (!target.up) target.start(simulation.random.chance(0.5));
        });
      }
    },
  },
  {
    name: 'garbage',
    combines: true,
    plan: (simulation) => {
      for (const at of simulation.initiator.interfaces) {
        for (let count = simulation.random.integer(10, 200); count > 0; count--) {
          simulation.events.at(simulation.random.integer(0, simulation.healUs), () => injectGarbage(simulation, at));
        }
      }
    },
  },
];
