import type { Simulation } from './simulation.ts';

/** One thing that goes wrong, in a world that is otherwise as any other. */
export interface Trouble {
  readonly name: string;
  /** Can happen together with others. */
  readonly combines: boolean;
  readonly plan: (simulation: Simulation) => void;
  /** What its world must be like. */
  readonly world?: { readonly targets?: number; readonly mtu?: number };
}

/** Calls `begin` at some time while clients work, and `end` some time later, but not after all has healed; a few times over. */
function now_and_then(simulation: Simulation, longestUs: number, begin: () => void, end: () => void): void {
  const { random, healUs } = simulation;
  for (let count = random.integer(1, 3); count > 0; count--) {
    const startUs = random.integer(0, healUs);
    const endUs = Math.min(startUs + random.logarithmic(500, longestUs), healUs);
    simulation.events.at(startUs, begin);
    simulation.events.at(endUs, end);
  }
}

export const TROUBLES: readonly Trouble[] = [
  {
    name: 'partition',
    combines: true,
    plan: (simulation) => {
      const { random } = simulation;
      for (const { nics } of simulation.segments) {
        for (const nic of nics) {
          const [deaf, mute] = random.pick([[true, true], [true, false], [false, true]]);
          now_and_then(
            simulation,
            2_000_000,
            () => {
              nic.deaf = deaf;
              nic.mute = mute;
            },
            () => {
              nic.deaf = nic.mute = false;
            },
          );
        }
      }
    },
  },
];
