import type { AggregatedResult, AssertionResult } from '@jest/test-result';

const SLOW_MS = 2_000;
const SLOW_LISTED_MAX = 10;

/**
 * Jest reporter for the end of a run: the slow tests, why tests were skipped, and as the very last line
 * `N passed, N failed, N skipped`, which .ci/run and people look for. A test file that could not be run counts as one failure.
 */
export default class SummaryReporter {
  onRunComplete(_contexts: unknown, results: AggregatedResult): void {
    const tests = results.testResults.flatMap((file) => file.testResults);
    const lines = [...slowTests(tests), ...skipReasons(tests), '', summaryLine(results)];
    // Jest's own summary and its warnings come after every reporter: only the end of the process is late enough for the last line.
    process.once('exit', () => process.stderr.write(`${lines.join('\n')}\n`));
  }
}

function slowTests(tests: readonly AssertionResult[]): string[] {
  const slow = tests.filter((test) => (test.duration ?? 0) >= SLOW_MS);
  if (slow.length === 0) return [];
  slow.sort((a, b) => (b.duration ?? 0) - (a.duration ?? 0));
  const listed = slow
    .slice(0, SLOW_LISTED_MAX)
    .map((test) => `  ${((test.duration ?? 0) / 1000).toFixed(1)} s  ${test.fullName}`);
  return ['', `Slow tests (${slow.length} over ${SLOW_MS / 1000} s):`, ...listed];
}

function skipReasons(tests: readonly AssertionResult[]): string[] {
  const skipped = tests.filter((test) => test.status === 'pending' || test.status === 'todo');
  if (skipped.length === 0) return [];
  const counts = new Map<string, number>();
  for (const test of skipped) {
    const reason = /\[skipped: (.*?)\]/.exec(test.fullName)?.[1] ?? `no reason given: ${test.fullName}`;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return ['', 'Skipped:', ...Array.from(counts, ([reason, count]) => `  ${count} × ${reason}`)];
}

function summaryLine(results: AggregatedResult): string {
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
}
