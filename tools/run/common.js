import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

/** Something a person has to see to: printed without a stack trace. */
export class Refusal extends Error {}

/** One line about what is being done. On stderr, so that `--json` of a job stays clean. */
export function say(message) {
  process.stderr.write(`aoe-csi: ${message}\n`);
}

/** Runs `work` and says what it did and how long it took. */
export function announce(what, work) {
  say(`${what} ...`);
  const startedMs = performance.now();
  const result = work();
  say(`done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  return result;
}
