import { execFileSync } from 'node:child_process';
import { existsSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { CRASH_VARIABLE, type CrashPoint } from '../../src/node/crash-points.ts';
import { eventually } from '../support/faults-process.ts';
import { withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { ProgramInFront } from '../support/node-programs.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const CALL_MS = 10_000;
const MIB = 2 ** 20;
const TEST_MS = 120_000;
const END_MS = 10_000;
const SIZE_BYTES = 64 * MIB;
const GROWN_BYTES = 96 * MIB;
/** The kernel then lets no mounted ext4 grow. */
const WITHOUT_RESOURCE = ['setpriv', '--bounding-set', '-sys_resource', '--inh-caps', '-sys_resource', '--'];
/** Each of GROW_POINTS; after the second one there is nothing left to grow. */
const CRASHES: readonly (readonly CrashPoint[])[] = [['grow-recorded', 'grow-confirmed'], ['grow-made']];
/** resize2fs writes that the superblock is no good, and then what it has in mind: nearly 300 times on this disk. */
const KILLED_AT = [2, 40, 200];

/** A volume that has been written to; its target is larger now. */
async function grown(lab: NodeLaboratory, node: NodeProcess, volumeId: string): Promise<NodeVolume> {
  const volume = new NodeVolume(lab, node, volumeId, 'ext4');
  await volume.stage();
  await volume.publish();
  volume.write('what must not be lost');
  await volume.unpublish();
  await volume.unstage();
  await lab.stopTarget();
  truncateSync(lab.diskFile('e10.1'), GROWN_BYTES);
  await lab.startTarget();
  return volume;
}

async function totalBytes(node: NodeProcess, volume: NodeVolume): Promise<number> {
  return Number((await node.call('NodeGetVolumeStats', volume.statsRequest)).usage[0].total);
}

/** Stages it, however often the node plugin dies of that, and looks. */
async function requireGrown(lab: NodeLaboratory, node: NodeProcess, volume: NodeVolume): Promise<void> {
  await node.insist('NodeStageVolume', volume.stageRequest);
  await node.insist('NodePublishVolume', volume.publishRequest);
  expect(volume.read()).toBe('what must not be lost');
  expect(await totalBytes(node, volume)).toBeGreaterThan(SIZE_BYTES);
  expect((await lab.record('e10.1')).claim?.format).toMatchObject({ state: 'formatted', fsType: 'ext4' });
  const { volumeId, targetPath: volumePath } = volume;
  const expand = { volumeId, volumePath, capacityRange: { requiredBytes: GROWN_BYTES } };
  expect(await node.outcome('NodeExpandVolume', expand)).toBe('OK');
  await volume.unpublish();
  await volume.unstage();
}

describeIf([...NODE_REQUIREMENTS, command('setpriv', 'util-linux')], 'an ext4 that can not grow while it is mounted', () => {
  testIf(
    [],
    'grows before it is mounted; a reader leaves it as it is; who asks while it is in use is told when it grows',
    async () => {
      await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
        const failing = join(lab.folder('failing'), 'once');
        const resize = new ProgramInFront(
          lab,
          'resize2fs',
          `[ -e '${failing}' ] || { : >'${failing}'; echo 'no luck' >&2; exit 1; }`,
        );
        const node = await lab.startNode({ launcher: WITHOUT_RESOURCE, environment: resize.environment });
        const volume = await grown(lab, node, await lab.volume('e10.1'));
        const { volumeId, targetPath: volumePath } = volume;

        const reader = new NodeVolume(lab, node, volumeId, 'ext4', { mountFlags: ['ro'] });
        await reader.stage();
        await reader.publish();
        expect(await totalBytes(node, reader)).toBeLessThan(SIZE_BYTES);
        await reader.unpublish();
        await reader.unstage();
        expect(resize.calls).toEqual([]);

        // It fails once, which keeps no pod from its data.
        await volume.stage();
        await volume.publish();
        expect(node.log.join('\n')).toMatch(/the ext4 of e10\.1@\S+ does not take all of .*no luck/);
        expect(volume.read()).toBe('what must not be lost');
        expect(await totalBytes(node, volume)).toBeLessThan(SIZE_BYTES);
        const expand = { volumeId, volumePath, capacityRange: { requiredBytes: GROWN_BYTES } };
        expect(await node.outcome('NodeExpandVolume', expand)).toMatch(
          /^FAILED_PRECONDITION: cannot expand e10\.1@\S+ in use: .*CAP_SYS_RESOURCE.*; it grows when its pods start again/,
        );
        await volume.unpublish();
        await volume.unstage();

        await requireGrown(lab, node, volume);
        const { length } = resize.calls;
        await requireGrown(lab, node, volume);
        // What has grown is not looked at again: once more by NodeExpandVolume.
        expect(resize.calls.length - length).toBe(1);
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'stays as it is in a static volume, of which nothing is recorded',
    async () => {
      await withNode({ disks: { 'e10.1': GROWN_BYTES } }, async (lab) => {
        const node = await lab.startNode({ launcher: WITHOUT_RESOURCE });
        execFileSync('mkfs.ext4', ['-q', '-F', lab.diskFile('e10.1'), `${String(SIZE_BYTES / 1024)}k`]);
        await lab.staticVolume('e10.1');
        const volume = new NodeVolume(lab, node, 'e10.1', 'ext4');
        await volume.stage();
        await volume.publish();
        expect(await totalBytes(node, volume)).toBeLessThan(SIZE_BYTES);
        const expand = { volumeId: 'e10.1', volumePath: volume.targetPath, capacityRange: { requiredBytes: GROWN_BYTES } };
        let outcome = '';
        // As a kubelet would: the node may be telling the target again whose it is.
        await eventually('the volume to be free for a call', CALL_MS, async () => {
          outcome = await node.outcome('NodeExpandVolume', expand);
          return !outcome.startsWith('ABORTED');
        });
        expect(outcome).toMatch(/^FAILED_PRECONDITION: .* static volume: grow .* by hand/);
        await volume.unpublish();
        await volume.unstage();
      });
    },
    TEST_MS,
  );

  for (const points of CRASHES) {
    testIf(
      [],
      `grows when the node plugin dies at ${points.join(', then at ')}`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const node = await lab.startNode({ launcher: WITHOUT_RESOURCE });
          const volume = await grown(lab, node, await lab.volume('e10.1'));
          const left = [...points];
          node.keepAlive(() => {
            const point = left.shift();
            return point === undefined ? {} : { [CRASH_VARIABLE]: point };
          });
          node.kill();
          await eventually('the node plugin to die', END_MS, () => node.deaths === 1);
          await node.revive();
          await requireGrown(lab, node, volume);
          expect(node.deaths).toBe(1 + points.length);
        });
      },
      TEST_MS,
    );
  }

  for (const write of KILLED_AT) {
    testIf(
      [command('strace')],
      `loses nothing when its node dies at write ${String(write)} of resize2fs`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const dead = join(lab.folder('dead'), 'node');
          const strace = `strace -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when=${String(write)}`;
          const script = `[ -e '${dead}' ] || { ${strace} /sbin/resize2fs "$@"; : >'${dead}'; kill -KILL $PPID; }`;
          const { environment } = new ProgramInFront(lab, 'resize2fs', script);
          const node = await lab.startNode({ launcher: WITHOUT_RESOURCE, environment });
          const volume = await grown(lab, node, await lab.volume('e10.1'));
          node.keepAlive(() => environment);
          const died = node.outcome('NodeStageVolume', volume.stageRequest);
          await eventually('the node plugin to die', END_MS, () => node.deaths === 1);
          await node.revive();
          expect(await died).not.toBe('OK');
          expect(existsSync(dead)).toBe(true);
          expect((await lab.record('e10.1')).claim?.format.state).toBe('growing');

          const reader = new NodeVolume(lab, node, volume.volumeId, 'ext4', { mountFlags: ['ro'] });
          await eventually('a reader to be refused', END_MS, async () =>
            (await node.outcome('NodeStageVolume', reader.stageRequest)).startsWith('FAILED_PRECONDITION'),
          );
          await requireGrown(lab, node, volume);
          expect(node.log.join('\n')).toMatch(/was growing when its node died: mending it/);
        });
      },
      TEST_MS,
    );
  }
});
