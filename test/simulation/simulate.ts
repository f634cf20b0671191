/**
 * `npm run simulate`: runs seeds of the simulation of the AoE engine, and tells of each that failed how to repeat it. Exit code 0 when
 * all went well, 1 when a seed failed, 2 when the command line is wrong.
 */
import { parseArgs } from 'node:util';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { replayCommand, runSeed, scenarioNamed, type Outcome } from './seed.ts';
import { MUTATIONS, type Mutation } from './simulation.ts';

const PROGRESS_MS = 2_000;
const HELP = `npm run simulate -- [--seeds N] [--from S] [--scenario NAME] [--mutation NAME] [--trace]

  --seeds N        how many seeds to run (1000)
  --from S         the first of them (1)
  --scenario NAME  one scenario instead of what each seed stands for:
                   ${wrap(SCENARIOS.map(({ name }) => name))}
  --mutation NAME  a mistake to put in, to see that it is found:
                   ${wrap(MUTATIONS)}
  --trace          tell everything that happens, with virtual times`;

interface Order {
  readonly first: number;
  readonly count: number;
  readonly only: Scenario | undefined;
  readonly mutation: Mutation | undefined;
  readonly traces: boolean;
}

function wrap(names: readonly string[]): string {
  return names
    .join(', ')
    .replaceAll(/(.{1,100})(?: |$)/g, '$1\n                   ')
    .trimEnd();
}

/** What the command line asks for; throws an Error that says what is wrong with it. */
function readOrder(args: string[]): Order | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      scenario: { type: 'string' },
      mutation: { type: 'string' },
      trace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const first = Number(values.from);
  const count = Number(values.seeds);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
    throw new Error('--seeds and --from take whole numbers, --seeds at least 1');
  }
  const only = values.scenario === undefined ? undefined : scenarioNamed(values.scenario);
  if (values.scenario !== undefined && only === undefined) throw new Error(`there is no scenario '${values.scenario}'`);
  const mutation = MUTATIONS.find((name) => name === values.mutation);
  if (values.mutation !== undefined && mutation === undefined) throw new Error(`there is no mutation '${values.mutation}'`);
  return { first, count, only, mutation, traces: values.trace };
}

function tellFailure(outcome: Outcome, failure: Error, traces: boolean): void {
  console.log(
    `seed ${outcome.seed} (${outcome.scenario}) failed at ${(outcome.virtualUs / 1e3).toFixed(3)} ms: ${failure.message}`,
  );
  if (failure.name !== 'Violation' || traces) console.log(failure.stack);
  console.log(`  repeat it with: ${replayCommand(outcome)}`);
}

function run({ first, count, only, mutation, traces }: Order): number {
  const trace = (nowUs: number, text: string): void => console.log(`${(nowUs / 1e3).toFixed(3)} ms  ${text}`);
  const total = { frames: 0, resent: 0, requests: 0, sectors: 0, held: 0, virtualUs: 0, failed: 0 };
  const startMs = performance.now();
  let toldMs = startMs;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = runSeed(seed, { trace: traces ? trace : undefined, mutation }, only);
    total.frames += outcome.frames;
    total.resent += outcome.resent;
    total.requests += outcome.requests;
    total.sectors += outcome.sectorsCompared;
    total.held += outcome.writesHeld;
    total.virtualUs += outcome.virtualUs;
    if (outcome.failure !== undefined) {
      total.failed++;
      tellFailure(outcome, outcome.failure, traces);
    }
    if (performance.now() - toldMs > PROGRESS_MS) {
      toldMs = performance.now();
      console.log(`${seed - first + 1} of ${count} seeds, ${total.failed} failed`);
    }
  }
  const seconds = (performance.now() - startMs) / 1e3;
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(total.virtualUs / 1e6).toFixed(0)} s simulated): ${total.requests} requests, ` +
      `${total.frames} frames, ${total.resent} sent again, ${total.held} writes held for late copies, ${total.sectors} sectors compared; ` +
      `${total.failed} failed`,
  );
  return total.failed === 0 ? 0 : 1;
}

function main(): number {
  let order: Order | undefined;
  try {
    order = readOrder(process.argv.slice(2));
  } catch (error) {
    console.error(`simulate: ${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (order !== undefined) return run(order);
  console.log(HELP);
  return 0;
}

process.exitCode = main();
