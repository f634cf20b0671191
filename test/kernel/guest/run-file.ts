import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { pathOf } from '../../support/repository.ts';
import { patiently } from '../../support/patience.ts';
import type { CaseResult } from '../protocol.ts';
import { declaredCases, Skipped, type Case } from './cases.ts';
import { EventLog } from './events.ts';

/**
 * Runs the cases of one file: `run-file.js FOLDER FILE`. Ends with EXIT_STUCK when a case went past its limit, since what it was at
 * may still go on in this process and in the kernel.
 */
export const EXIT_STUCK = 3;

const [folder, file] = process.argv.slice(2);
const events = new EventLog(folder);

/** Runs one case and tells its result; whether it came to an end. */
async function runCase(each: Case): Promise<boolean> {
  const limitMs = patiently(each.limitMs);
  events.write({ type: 'case', file, name: each.name, limitMs });
  const startedMs = performance.now();
  const tell = (status: CaseResult['status'], reason = ''): void => {
    const durationMs = Math.round(performance.now() - startedMs);
    events.write({ type: 'result', file, name: each.name, status, durationMs, reason });
  };
  const late = sleep(limitMs, 'late' as const, { ref: false });
  try {
    if ((await Promise.race([invoke(each), late])) === 'late') {
      tell('failed', `did not end within ${String(Math.round(limitMs / 1000))} s`);
      return false;
    }
    tell('passed');
  } catch (error) {
    if (error instanceof Skipped) tell('skipped', error.message);
    else tell('failed', reasonOf(error));
  }
  return true;
}

async function invoke(each: Case): Promise<void> {
  await each.run({
    skip: (reason) => {
      throw new Skipped(reason);
    },
    figure: (text) => events.write({ type: 'figure', file, text }),
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** A file that cannot be read, or that goes wrong outside of its cases, is one failed case. */
function tellFailure(name: string, error: unknown): void {
  events.write({ type: 'result', file, name, status: 'failed', durationMs: 0, reason: reasonOf(error) });
}

process.on('uncaughtException', (error) => {
  tellFailure('goes wrong only where a case waits for it', error);
  process.exit(1);
});

try {
  await import(pathToFileURL(pathOf(file)).href);
} catch (error) {
  tellFailure('can be loaded', error);
  process.exit(1);
}
for (const [index, each] of declaredCases.entries()) {
  if (await runCase(each)) continue;
  const reason = 'the case before it did not end';
  for (const { name } of declaredCases.slice(index + 1)) {
    events.write({ type: 'result', file, name, status: 'skipped', durationMs: 0, reason });
  }
  process.exit(EXIT_STUCK);
}
process.exit(0);
