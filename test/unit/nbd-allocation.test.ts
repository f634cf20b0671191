import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

test('NbdSession allocates nothing per request when it has warmed up', () => {
  const program = fileURLToPath(new URL('../support/nbd-churn.js', import.meta.url));
  const requests = 640_000;
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
  const result = JSON.parse(execFileSync(process.execPath, [...flags, program, String(requests)], { encoding: 'utf8' }));
  expect(result.requests).toBeGreaterThan(requests);
  // One object or number on the heap per request would be at least 12 bytes.
  expect(result.heapGrowthBytes / requests).toBeLessThan(2);
});
