import { expect } from '@jest/globals';
import { CRASH_POINTS, CRASH_VARIABLE, type CrashPoint } from '../../src/node/crash-points.ts';
import { withNode } from '../support/node-laboratory.ts';
import { GROW_POINTS, live, LIFE_BYTES } from '../support/node-life.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { describeIf, testIf } from '../support/requires.ts';

const LIVES_MS = 480_000;
/** Each with a network, target and initiator of its own. */
const SIDE_BY_SIDE = 2;
const POINTS = CRASH_POINTS.filter((point) => !GROW_POINTS.includes(point));

async function dieOnceAt(points: readonly CrashPoint[]): Promise<void> {
  await withNode({ disks: { 'e10.1': LIFE_BYTES } }, async (lab) => {
    for (const point of points) {
      const node = await lab.startNode({ environment: { [CRASH_VARIABLE]: point } });
      node.keepAlive(() => ({}));
      await live(lab, node, 'ext4');
      expect({ point, deaths: node.deaths }).toEqual({ point, deaths: 1 });
      await node.end();
    }
  });
}

describeIf(NODE_REQUIREMENTS, 'a node plugin that is killed', () => {
  testIf(
    [],
    'goes on where it was when it dies once, at each crash point',
    async () => {
      const shares = Array.from({ length: SIDE_BY_SIDE }, (_, share) =>
        POINTS.filter((_point, index) => index % SIDE_BY_SIDE === share),
      );
      await Promise.all(shares.map(dieOnceAt));
    },
    LIVES_MS,
  );
});
