import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { CRASH_POINTS, CRASH_VARIABLE } from '../../src/node/crash-points.ts';
import { eventually } from '../support/faults-process.ts';
import { withNode } from '../support/node-laboratory.ts';
import { FILE_SYSTEM_POINTS, GROW_POINTS, live, LIFE_BYTES } from '../support/node-life.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { describeIf, testIf } from '../support/requires.ts';

const LIFE_MS = 240_000;
const END_MS = 10_000;
const LIVES_MS = 480_000;
const SHORT_MS = 500;
const MORE_MS = 20;

describeIf(NODE_REQUIREMENTS, 'a node plugin that is killed', () => {
  for (const use of ['ext4', 'block'] as const) {
    testIf(
      [],
      `goes on where it was when it dies at every crash point in one life of a volume as ${use}`,
      async () => {
        await withNode({ disks: { 'e10.1': LIFE_BYTES } }, async (lab) => {
          const others = use === 'block' ? [...FILE_SYSTEM_POINTS, ...GROW_POINTS] : GROW_POINTS;
          const points = CRASH_POINTS.filter((point) => !others.includes(point));
          const left = [...points];
          const next = (): Readonly<Record<string, string>> => {
            const point = left.shift();
            return point === undefined ? {} : { [CRASH_VARIABLE]: point };
          };
          const node = await lab.startNode({ environment: next() });
          node.keepAlive(next);
          await live(lab, node, use);
          // The last point is the end of the life.
          await eventually(`all points to be visited; left are ${left.join(', ')}`, END_MS, () => node.deaths === points.length);
          expect(left).toEqual([]);
        });
      },
      LIFE_MS,
    );
  }

  testIf(
    [],
    'goes on where it was when it dies at any other instant',
    async () => {
      await withNode({ disks: { 'e10.1': LIFE_BYTES } }, async (lab) => {
        const node = await lab.startNode();
        node.keepAlive(() => ({}));
        let isOver = false;
        const killer = (async () => {
          // Delays that have no common divisor, from too short for anything to long enough for a whole call. Every second process lives
          // until it serves, and longer and longer then: a slow machine gets on, too.
          for (let [delayMs, round] = [37, 0]; !isOver; [delayMs, round] = [(delayMs * 7 + 11) % 1009, round + 1]) {
            if (round % 2 === 0) await node.logged(/CSI for node/);
            await sleep(delayMs + (round % 2 === 0 ? round * MORE_MS : SHORT_MS));
            if (!isOver) node.kill();
          }
        })();
        for (let life = 0; life < 4; life++) await live(lab, node, life % 2 === 0 ? 'ext4' : 'block');
        isOver = true;
        await killer;
        expect(node.deaths).toBeGreaterThan(4);
      });
    },
    LIVES_MS,
  );
});
