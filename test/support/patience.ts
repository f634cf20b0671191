/**
 * Test machines are shared and noisy: a process may wait for a processor longer than the thing takes that it waits for. Bounds in
 * real time say that something comes by itself and about when; how fast it is, benchmarks say. So each is stretched by this factor.
 * AOE_CSI_TEST_PATIENCE=1 tests with the bounds as they are written, on a machine that does nothing else.
 */
const PATIENCE = Number(process.env['AOE_CSI_TEST_PATIENCE'] ?? '3');

/** An upper bound in real time for something that takes at most `ms` on a quiet machine, in whole milliseconds: timeouts of Node want these. */
export function patiently(ms: number): number {
  return Math.ceil(ms * PATIENCE);
}
