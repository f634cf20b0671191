import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { pathOf } from '../support/repository.ts';
import { failuresOf, runSeed, scenarioNamed } from './seed.ts';

const SEEDS = 1_200;
const SEEDS_PER_TEST = 200;
const TIMEOUT_MS = 120_000;

interface RecordedSeed {
  readonly scenario: string;
  readonly seed: number;
  readonly found: string;
}

const recorded = JSON.parse(readFileSync(pathOf('test/simulation/seeds.json'), 'utf8')) as readonly RecordedSeed[];

/** To run others: npm run simulate -- --seeds N --from S. */
describe('simulation of the AoE engine', () => {
  for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST) {
    const last = first + SEEDS_PER_TEST - 1;
    test(
      `Engine keeps every byte when seeds ${first} to ${last} decide what goes wrong`,
      () => {
        const outcomes = Array.from({ length: SEEDS_PER_TEST }, (_, index) => runSeed(first + index));
        expect(failuresOf(outcomes)).toEqual([]);
      },
      TIMEOUT_MS,
    );
  }
});

describe('seeds that once failed', () => {
  test.each(recorded)('Engine keeps every byte when seed $seed of $scenario is run ($found)', ({ scenario, seed }) => {
    expect(failuresOf([runSeed(seed, {}, scenarioNamed(scenario))])).toEqual([]);
  });
});
