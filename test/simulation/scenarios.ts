import type { Workload } from './client.ts';
import type { Conditions } from './network.ts';
import type { Simulation } from './simulation.ts';
import { TROUBLES } from './troubles.ts';
import { buildWorld } from './world.ts';

/** What a seed is about. */
export interface Scenario {
  readonly name: string;
  readonly weight: number;
  /** Builds the world, and plans what goes wrong in it. */
  readonly prepare: (simulation: Simulation) => void;
}

/** Copies of writes arrive much later than their answers' senders thought: small, hot ranges, so that new writes overlap old ones. */
const LATE_WORKLOAD: Partial<Workload> = { sectorsTypical: 8, sectorsMax: 32, hot: 0.95 };

function late(simulation: Simulation, often: number): Partial<Conditions> {
  return { late: often, lateUs: Math.floor(simulation.quarantineUs * 0.9) };
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'plain', weight: 2, prepare: (simulation) => buildWorld(simulation) },
  {
    name: 'lossy',
    weight: 4,
    prepare: (simulation) => {
      const { random } = simulation;
      simulation.refusable = true;
      buildWorld(simulation, {
        conditions: {
          lossToTarget: random.logarithmic(1, 300) / 1_000,
          lossToInitiator: random.logarithmic(1, 300) / 1_000,
          duplicate: random.chance(0.5) ? random.logarithmic(1, 300) / 1_000 : 0,
        },
      });
    },
  },
  {
    name: 'reordering',
    weight: 3,
    prepare: (simulation) => buildWorld(simulation, { conditions: { jitterUs: simulation.random.logarithmic(500, 30_000) } }),
  },
  {
    name: 'late-copies',
    weight: 5,
    prepare: (simulation) => {
      const conditions = late(simulation, simulation.random.logarithmic(5, 150) / 1_000);
      buildWorld(simulation, { conditions, workload: LATE_WORKLOAD, identity: { sectors: 60 }, targets: 1 });
    },
  },
  {
    name: 'everything',
    weight: 4,
    prepare: (simulation) => {
      const { random } = simulation;
      simulation.refusable = true;
      const conditions = { lossToTarget: 0.03, lossToInitiator: 0.03, duplicate: 0.02, jitterUs: random.logarithmic(50, 5_000) };
      buildWorld(simulation, { conditions: { ...conditions, ...late(simulation, 0.01) } });
      for (let count = random.integer(2, 4); count > 0; count--) {
        random.pick(TROUBLES.filter(({ combines }) => combines)).plan(simulation);
      }
    },
  },
  ...TROUBLES.map(({ name, plan, world }): Scenario => ({
    name,
    weight: 2,
    prepare: (simulation) => {
      const { random } = simulation;
      const loss = random.chance(0.3) ? random.logarithmic(1, 100) / 1_000 : 0;
      buildWorld(simulation, { conditions: { lossToTarget: loss, lossToInitiator: loss }, ...world });
      plan(simulation);
    },
  })),
];
