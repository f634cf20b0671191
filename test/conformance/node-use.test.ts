import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { listMounts } from '../../src/system/mounts.ts';
import { withNode, type NodeLaboratory, type Use } from '../support/node-laboratory.ts';
import { ProgramInFront } from '../support/node-programs.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 60_000;
const SIZE_BYTES = 320 * MIB;
const GROWN_BYTES = 400 * MIB;
const USES: readonly (readonly [use: Use, program: string, debianPackage: string])[] = [
  ['ext4', 'mkfs.ext4', 'e2fsprogs'],
  ['xfs', 'mkfs.xfs', 'xfsprogs'],
  ['btrfs', 'mkfs.btrfs', 'btrfs-progs'],
];

function optionsAt(path: string): readonly string[] {
  return listMounts().find(({ mountPoint }) => mountPoint === path)?.options ?? [];
}

function writeAt(path: string): string {
  try {
    writeFileSync(join(path, 'written'), 'x', { flush: true });
    return 'OK';
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown error';
  }
}

/** Serves the disk larger than it was. */
async function grow(lab: NodeLaboratory, address: string): Promise<void> {
  await lab.stopTarget();
  truncateSync(lab.diskFile(address), GROWN_BYTES);
  await lab.startTarget();
}

describeIf(NODE_REQUIREMENTS, 'a volume on a node', () => {
  for (const [use, program, debianPackage] of USES) {
    testIf(
      [command(program, debianPackage)],
      `is used as ${use} by several: mount flags, read-only for one, read-only for all, grown`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const node = await lab.startNode();
          const volumeId = await lab.volume('e10.1');
          const mode = 'SINGLE_NODE_MULTI_WRITER';
          const volume = new NodeVolume(lab, node, volumeId, use, { mode, mountFlags: ['noatime', 'nosuid'] });
          const { targetPath, stagingPath } = volume;
          await volume.stage();
          await volume.publish();
          for (const path of [stagingPath, targetPath])
            expect(optionsAt(path)).toEqual(expect.arrayContaining(['rw', 'noatime', 'nosuid']));
          const other = join(lab.folder('kubelet', 'other'), 'volume');
          const reading = { ...volume.publishRequest, targetPath: other, readonly: true };
          await node.call('NodePublishVolume', reading);
          await node.call('NodePublishVolume', reading);
          expect(optionsAt(other)).toEqual(expect.arrayContaining(['ro', 'noatime', 'nosuid']));
          expect(writeAt(other)).toBe('EROFS');
          expect(writeAt(targetPath)).toBe('OK');
          expect(await node.outcome('NodePublishVolume', { ...reading, readonly: false })).toMatch(/^ALREADY_EXISTS/);
          expect(await node.outcome('NodePublishVolume', { ...volume.publishRequest, readonly: true })).toMatch(
            /^ALREADY_EXISTS/,
          );
          const plain = new NodeVolume(lab, node, volumeId, use, { mode });
          expect(await node.outcome('NodeStageVolume', plain.stageRequest)).toMatch(/^ALREADY_EXISTS: .*mount flags/);
          expect(await node.outcome('NodePublishVolume', plain.publishRequest)).toMatch(/^FAILED_PRECONDITION: .*mount flags/);
          await node.call('NodeUnpublishVolume', { volumeId, targetPath: other });
          await volume.unpublish();
          await volume.unstage();

          await grow(lab, 'e10.1');
          const reader = new NodeVolume(lab, node, volumeId, use, { mode, mountFlags: ['ro'] });
          await node.insist('NodeStageVolume', reader.stageRequest);
          await reader.publish();
          expect(writeAt(targetPath)).toBe('EROFS');
          expect((await node.call('NodeGetVolumeStats', reader.statsRequest)).usage[0].total).toBeLessThanOrEqual(SIZE_BYTES);
          await reader.unpublish();
          await reader.unstage();
          await volume.stage();
          await volume.publish();
          const { usage } = await node.call('NodeGetVolumeStats', volume.statsRequest);
          expect(usage[0].total).toBeGreaterThan(SIZE_BYTES);
          expect(writeAt(targetPath)).toBe('OK');

          // Whether the target has grown meanwhile, it is asked now.
          const requiredBytes = GROWN_BYTES + 32 * MIB;
          const expand = { volumeId, volumePath: targetPath, capacityRange: { requiredBytes } };
          expect(await node.outcome('NodeExpandVolume', expand)).toMatch(
            /^OUT_OF_RANGE: .* its target e10\.1 has .* larger first/,
          );
          truncateSync(lab.diskFile('e10.1'), requiredBytes);
          expect(await node.outcome('NodeExpandVolume', expand)).toMatch(
            /^FAILED_PRECONDITION: .* in use: e10\.1 has grown, but/,
          );
          await volume.unpublish();
          await volume.unstage();
        });
      },
      TEST_MS,
    );
  }

  testIf(
    [],
    'has one pod, or as many as its access mode allows',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const volumeId = await lab.volume('e10.1');
        const second = join(lab.folder('kubelet', 'second'), 'volume');
        for (const use of ['ext4', 'block'] as const) {
          if (use === 'block') await lab.release('e10.1').then(async () => lab.volume('e10.1'));
          for (const mode of ['SINGLE_NODE_SINGLE_WRITER', 'SINGLE_NODE_MULTI_WRITER']) {
            const volume = new NodeVolume(lab, node, volumeId, use, { mode });
            await volume.stage();
            await volume.publish();
            const outcome = await node.outcome('NodePublishVolume', { ...volume.publishRequest, targetPath: second });
            const isAlone = mode === 'SINGLE_NODE_SINGLE_WRITER';
            expect({ use, mode, outcome }).toMatchObject({
              outcome: isAlone ? expect.stringMatching(/^FAILED_PRECONDITION: .*one user only, and is published at/) : 'OK',
            });
            await node.call('NodeUnpublishVolume', { volumeId, targetPath: second });
            expect(volume.isShown).toBe(true);
            await volume.unpublish();
            await volume.unstage();
          }
        }
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is mounted with the label that SELinux wants, and not with flags that make another mount of it',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const mount = new ProgramInFront(lab, 'mount');
        const node = await lab.startNode({ environment: mount.environment });
        const volumeId = await lab.volume('e10.1');
        // As the kubelet writes it, with a comma inside.
        const label = 'context="system_u:object_r:container_file_t:s0:c10,c20"';
        const volume = new NodeVolume(lab, node, volumeId, 'ext4', { mountFlags: [label, 'nodev'] });
        await volume.stage();
        await volume.stage();
        await volume.publish();
        expect(mount.calls[0]).toContain(`-o ${label},nodev /dev/`);
        expect(optionsAt(volume.targetPath)).toEqual(expect.arrayContaining(['rw', 'nodev']));
        await volume.unpublish();
        await volume.unstage();
        for (const flag of ['bind', 'remount', 'move', 'loop', 'rshared', 'X-mount.subdir=a']) {
          const other = new NodeVolume(lab, node, volumeId, 'ext4', { mountFlags: [flag] });
          expect(await node.outcome('NodeStageVolume', other.stageRequest)).toMatch(/^INVALID_ARGUMENT: .*another mount/);
        }
        const unknown = new NodeVolume(lab, node, volumeId, 'ext4', { mountFlags: ['nosuchoption'] });
        expect(await node.outcome('NodeStageVolume', unknown.stageRequest)).toMatch(/^FAILED_PRECONDITION: cannot mount .*mount/);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
      });
    },
    TEST_MS,
  );
});
