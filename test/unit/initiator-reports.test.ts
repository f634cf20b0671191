import { expect, test } from '@jest/globals';
import { Path } from '../../src/aoe/path.ts';
import type { Port } from '../../src/aoe/port.ts';
import { Target } from '../../src/aoe/target.ts';
import { targetReport } from '../../src/initiator/reports.ts';

const NOW_US = 90_000_000;

test('targetReport() says how long ago any of the target’s MACs was heard of', () => {
  const target = new Target(10, 3);
  expect(targetReport(target, NOW_US).silentMs).toBe(Number.MAX_SAFE_INTEGER);
  const port = { name: 'eth1', sectorsMax: 2 } as Port;
  target.paths.push(new Path(target, port, 1), new Path(target, port, 2));
  expect(targetReport(target, NOW_US).silentMs).toBe(Number.MAX_SAFE_INTEGER);
  [target.paths[0].seenUs, target.paths[1].seenUs] = [30_000_000, 15_000_000];
  expect(targetReport(target, NOW_US).silentMs).toBe(60_000);
});
