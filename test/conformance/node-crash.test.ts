import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { CRASH_POINTS, CRASH_VARIABLE, type CrashPoint } from '../../src/node/crash-points.ts';
import { loopDevicesOf } from '../../src/initiator/attach/loop-device.ts';
import { fenceTask } from '../../src/controller/tasks.ts';
import { eventually } from '../support/faults-process.ts';
import { NODE_REQUIREMENTS, withNode, type NodeLaboratory, type Use } from '../support/node-laboratory.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 64 * MIB;
const LIFE_MS = 240_000;
const END_MS = 10_000;
const LIVES_MS = 480_000;
const FORMAT_POINTS: readonly CrashPoint[] = [
  'format-recorded',
  'format-made',
  'format-confirmed',
  'stage-mounted',
  'expand-grown',
];

/**
 * All that a node does for a volume, from the claim to the wipe. Each call is made until it succeeds, as an orchestrator does;
 * afterwards everything is as if nobody had died.
 */
async function live(lab: NodeLaboratory, node: NodeProcess, use: Use): Promise<void> {
  const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
  const { volumeId, targetPath: volumePath } = volume;
  await node.insist('NodeStageVolume', volume.stageRequest);
  await node.insist('NodePublishVolume', volume.publishRequest);
  volume.write('what must not be lost');
  await node.insist('NodeExpandVolume', { volumeId, volumePath, capacityRange: { requiredBytes: SIZE_BYTES } });
  await node.insist('NodePublishVolume', volume.publishRequest);
  expect(volume.read()).toBe('what must not be lost');
  await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
  await node.insist('NodeUnstageVolume', volume.unstageRequest);
  await node.insist('NodeStageVolume', volume.stageRequest);
  await node.insist('NodePublishVolume', volume.publishRequest);
  expect(volume.read()).toBe('what must not be lost');
  await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
  await node.insist('NodeUnstageVolume', volume.unstageRequest);
  expect(volume.isGone).toBe(true);

  const { id } = fenceTask('node-9', 1, 'node-1');
  expect((await lab.task('e10.1', 'fence', id)).task?.state).toBe('done');
  const { state, claim, task } = await lab.release('e10.1');
  expect({ state, claim, task }).toEqual({ state: 'Available' });

  expect(readdirSync(lab.stateFolder)).toEqual([]);
  expect((await lab.store.nodes.get('node-1'))?.value.staged).toEqual({});
  const { attachments, targets } = await lab.initiator.stat();
  expect(attachments).toEqual([]);
  expect(targets).toHaveLength(1);
  expect(loopDevicesOf(lab.lab.folder)).toEqual([]);
}

describeIf(NODE_REQUIREMENTS, 'a node plugin that is killed', () => {
  for (const use of ['ext4', 'block'] as const) {
    testIf(
      [],
      `goes on where it was when it dies at every crash point in one life of a volume as ${use}`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const points = CRASH_POINTS.filter((point) => use !== 'block' || !FORMAT_POINTS.includes(point));
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
    'goes on where it was when it dies once, at each crash point',
    async () => {
      await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
        for (const point of CRASH_POINTS) {
          const node = await lab.startNode({ environment: { [CRASH_VARIABLE]: point } });
          node.keepAlive(() => ({}));
          await live(lab, node, 'ext4');
          expect({ point, deaths: node.deaths }).toEqual({ point, deaths: 1 });
          await node.end();
        }
      });
    },
    LIVES_MS,
  );

  testIf(
    [],
    'goes on where it was when it dies at any other instant',
    async () => {
      await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
        const node = await lab.startNode();
        node.keepAlive(() => ({}));
        let isOver = false;
        const killer = (async () => {
          // Delays that have no common divisor, from too short for anything to long enough for a whole call.
          for (let delayMs = 37; !isOver; delayMs = (delayMs * 7 + 11) % 1009) {
            await sleep(500 + delayMs);
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
