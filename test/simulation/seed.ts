import { Random } from './random.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { Simulation, type SimulationOptions } from './simulation.ts';

/** How one seed went. */
export interface Outcome {
  readonly seed: number;
  readonly scenario: string;
  /** What was wrong; undefined when nothing was. */
  readonly failure: Error | undefined;
  readonly virtualUs: number;
  readonly frames: number;
  readonly resent: number;
  readonly requests: number;
  readonly sectorsCompared: number;
  readonly writesHeld: number;
}

/** Simulates what `seed` stands for, or one scenario with that seed's chances. Never throws. */
export function runSeed(seed: number, options: SimulationOptions = {}, only?: Scenario): Outcome {
  const random = new Random(seed);
  const chosen = random.weighted(SCENARIOS);
  const scenario = only ?? chosen;
  const simulation = new Simulation(random, options);
  let failure: Error | undefined;
  try {
    scenario.prepare(simulation);
    simulation.run();
  } catch (error) {
    failure = error as Error;
  }
  const { counters } = simulation.initiator.engine;
  return {
    seed,
    scenario: scenario.name,
    failure,
    virtualUs: simulation.nowUs,
    frames: simulation.initiator.framesSent + simulation.initiator.framesReceived,
    resent: counters.framesResent,
    requests: simulation.clients.reduce((sum, { done }) => sum + done, 0),
    sectorsCompared: simulation.clients.reduce((sum, { ledger }) => sum + ledger.sectorsCompared, 0),
    writesHeld: counters.writesHeld,
  };
}

export function scenarioNamed(name: string): Scenario | undefined {
  return SCENARIOS.find((scenario) => scenario.name === name);
}

/** The command that repeats a seed with everything told. */
export function replayCommand({ seed, scenario }: Outcome): string {
  return `npm run simulate -- --from ${seed} --seeds 1 --scenario ${scenario} --trace`;
}

/** For a test's message: one line per seed that failed, with the command that repeats it. */
export function failuresOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => {
    const { seed, scenario, failure } = outcome;
    return failure === undefined
      ? []
      : [`seed ${seed} (${scenario}): ${failure.stack ?? failure.message}\n  ${replayCommand(outcome)}`];
  });
}
