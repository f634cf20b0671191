import { describe, expect, test } from '@jest/globals';
import { SCENARIOS } from './scenarios.ts';
import { failuresOf, runSeed, scenarioNamed, type Outcome } from './seed.ts';
import type { Mutation } from './simulation.ts';

const SEEDS = 20;
const FIRST_SEED = 1_000_000;
const TIMEOUT_MS = 120_000;
/** A mistake must show within so many seeds. */
const MUTATION_SEEDS = 60;

function seedsOf(scenario: string, count: number, mutation?: Mutation): Outcome[] {
  const only = scenarioNamed(scenario);
  expect(only).toBeDefined();
  return Array.from({ length: count }, (_, index) => runSeed(FIRST_SEED + index, { mutation }, only));
}

describe('every scenario of the simulation', () => {
  test.each(SCENARIOS.map(({ name }) => name))(
    'Engine keeps every byte when the scenario is %s',
    (name) => {
      const outcomes = seedsOf(name, SEEDS);
      expect(failuresOf(outcomes)).toEqual([]);
      expect(outcomes.reduce((sum, { sectorsCompared }) => sum + sectorsCompared, 0)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

test('runSeed() does the same when it is given the same seed', () => {
  const seeds = [1, 2, 3, 4, 5];
  expect(seeds.map((seed) => runSeed(seed))).toEqual(seeds.map((seed) => runSeed(seed)));
});

/** A checker that never fails proves nothing. */
describe('mistakes put in on purpose', () => {
  const MISTAKES: readonly (readonly [mutation: Mutation, scenario: string, message: RegExp])[] = [
    ['no-quarantine', 'late-copies', /is wrong: expected|not on stable storage/],
    ['no-abandon', 'reconnecting-client', /is wrong: expected|not on stable storage/],
    ['deaf-to-announcements', 'power-failure', /not on stable storage|is wrong: expected/],
    ['no-absence', 'stopped-initiator', /stranger|is wrong|not on stable storage/],
    ['no-withdraw', 'lossy', /is wrong: expected|not on stable storage/],
    ['same-identity', 'replaced-disk', /stranger|is wrong|not on stable storage/],
    ['forgets-writes', 'plain', /is wrong|not on stable storage/],
    ['lies-about-flush', 'plain', /flush was acknowledged, but sector/],
  ];
  test.each(MISTAKES)(
    'runSeed() fails when the mistake is %s and the scenario %s',
    (mutation, scenario, message) => {
      const failures = seedsOf(scenario, MUTATION_SEEDS, mutation).filter(({ failure }) => failure !== undefined);
      expect(failures.length).toBeGreaterThan(0);
      for (const { failure } of failures) expect(failure?.message).toMatch(message);
    },
    TIMEOUT_MS,
  );
});
