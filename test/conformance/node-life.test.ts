import { statSync } from 'node:fs';
import { expect } from '@jest/globals';
import { withNode, type Use } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 60_000;
const USES: readonly (readonly [use: Use, program: string, debianPackage: string])[] = [
  ['ext4', 'mkfs.ext4', 'e2fsprogs'],
  ['xfs', 'mkfs.xfs', 'xfsprogs'],
  ['btrfs', 'mkfs.btrfs', 'btrfs-progs'],
  ['block', 'blockdev', 'util-linux'],
];
/** The smallest that mkfs.xfs makes is 300 MiB. */
const SIZE_BYTES = 320 * MIB;

describeIf(NODE_REQUIREMENTS, 'a volume on a node', () => {
  for (const [use, program, debianPackage] of USES) {
    testIf(
      [command(program, debianPackage)],
      `lives its whole life as ${use}, and each call may come twice`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const node = await lab.startNode();
          const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
          for (const time of ['first', 'second']) {
            await volume.stage();
            await volume.stage();
            await volume.publish();
            await volume.publish();
            expect(volume.isShown).toBe(true);
            if (time === 'second') expect(volume.read()).toBe('first');
            volume.write(time);
            const { volumeId, targetPath: volumePath } = volume;
            const { usage } = await node.call('NodeGetVolumeStats', { volumeId, volumePath });
            expect(usage[0].total).toBeGreaterThan(SIZE_BYTES / 2);
            const expand = { volumeId, volumePath, capacityRange: { requiredBytes: 200 * MIB } };
            expect((await node.call('NodeExpandVolume', expand)).capacityBytes).toBe(200 * MIB);
            expect(await node.outcome('NodeUnstageVolume', volume.unstageRequest)).toMatch(
              /^FAILED_PRECONDITION: .*still shown at/,
            );
            await volume.unpublish();
            await volume.unpublish();
            await volume.unstage();
            await volume.unstage();
            expect(volume.isGone).toBe(true);
          }
          const { claim } = await lab.record('e10.1');
          expect(claim?.format).toMatchObject({ state: 'formatted', fsType: use === 'block' ? 'raw' : use });
          expect((await lab.store.nodes.get('node-1'))?.value.staged).toEqual({});
          expect((await lab.initiator.stat()).attachments).toEqual([]);
          expect(await lab.release('e10.1')).toMatchObject({ state: 'Available', reason: '' });
          expect(statSync(lab.diskFile('e10.1')).size).toBe(SIZE_BYTES);
        });
      },
      TEST_MS,
    );
  }
});
