import { spawnSync } from 'node:child_process';

/** How fast a machine does what our tests do most: starting Node, and running JavaScript. */
export interface Speed {
  readonly startMs: number;
  readonly computeMs: number;
}

const START_ROUNDS = 4;
const COMPUTE_ROUNDS = 6;
const WORDS = 1 << 18;

/** The best of a few rounds: what else the machine does only makes it slower. */
export function measureSpeed(): Speed {
  return { startMs: best(START_ROUNDS, startNode), computeMs: best(COMPUTE_ROUNDS, compute) };
}

/** How many times slower this machine is than that one, in the worse of the two respects; never less than 1. */
export function slowness(here: Speed, there: Speed): number {
  return Math.max(1, here.startMs / there.startMs, here.computeMs / there.computeMs);
}

function best(rounds: number, work: () => void): number {
  let bestMs = Infinity;
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now();
    work();
    bestMs = Math.min(bestMs, performance.now() - startedMs);
  }
  return bestMs;
}

function startNode(): void {
  spawnSync(process.execPath, ['-e', '0']);
}

/** A checksum over 1 MiB: a hot loop over typed memory, as the data path has them. */
function compute(): number {
  const words = new Uint32Array(WORDS);
  let sum = 1;
  for (let index = 0; index < WORDS; index++) {
    sum = (Math.imul(sum, 0x01000193) ^ words[index] ^ index) >>> 0;
    words[index] = sum;
  }
  return sum;
}
