/**
 * `npm run simulate -- [--seeds N] [--from S] [--scenario NAME] [--mutation NAME] [--trace]`: runs seeds of the simulation of the
 * AoE engine, tells of each that failed how to repeat it, and ends with exit code 1 if one did.
 */
import { parseArgs } from 'node:util';
import { replayCommand, runSeed, scenarioNamed } from './seed.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Mutation } from './simulation.ts';

const PROGRESS_MS = 2_000;

function main(): number {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      scenario: { type: 'string' },
      mutation: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  const first = Number(values.from);
  const count = Number(values.seeds);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
    console.error('simulate: --seeds and --from take whole numbers, --seeds at least 1');
    return 2;
  }
  const only = values.scenario === undefined ? undefined : scenarioNamed(values.scenario);
  if (values.scenario !== undefined && only === undefined) {
    console.error(`simulate: no scenario '${values.scenario}'; there are: ${SCENARIOS.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const trace = values.trace
    ? (nowUs: number, text: string): void => console.log(`${(nowUs / 1e3).toFixed(3)} ms  ${text}`)
    : undefined;
  const total = { frames: 0, resent: 0, requests: 0, sectors: 0, held: 0, virtualUs: 0 };
  const failed: number[] = [];
  const startMs = performance.now();
  let toldMs = startMs;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = runSeed(seed, { trace, mutation: values.mutation as Mutation | undefined }, only);
    total.frames += outcome.frames;
    total.resent += outcome.resent;
    total.requests += outcome.requests;
    total.sectors += outcome.sectorsCompared;
    total.held += outcome.writesHeld;
    total.virtualUs += outcome.virtualUs;
    if (outcome.failure !== undefined) {
      failed.push(seed);
      const { name, message, stack } = outcome.failure;
      console.log(`seed ${seed} (${outcome.scenario}) failed at ${(outcome.virtualUs / 1e3).toFixed(3)} ms: ${message}`);
      if (name !== 'Violation' || values.trace) console.log(stack);
      console.log(`  repeat it with: ${replayCommand(outcome)}`);
    }
    if (performance.now() - toldMs > PROGRESS_MS) {
      toldMs = performance.now();
      console.log(`${seed - first + 1} of ${count} seeds, ${failed.length} failed`);
    }
  }
  const seconds = (performance.now() - startMs) / 1e3;
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(total.virtualUs / 1e6).toFixed(0)} s simulated): ${total.requests} requests, ` +
      `${total.frames} frames, ${total.resent} sent again, ${total.held} writes held for late copies, ${total.sectors} sectors compared; ` +
      `${failed.length} failed`,
  );
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = main();
