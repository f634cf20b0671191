import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { eventually, within } from '../support/faults-process.ts';
import { withNode } from '../support/node-laboratory.ts';
import { ProgramInFront } from '../support/node-programs.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 120_000;
const NOTICE_MS = 15_000;
const STATS_MS = 15_000;
/** --dead-after is two seconds here. A call waits no longer than that for a target that is silent. */
const UNSTAGE_MS = 20_000;

describeIf(NODE_REQUIREMENTS, 'a node whose target is gone', () => {
  testIf(
    [],
    'answers questions at once, lets the volume go, and takes it up again when the target is back',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'ext4');
        const { volumeId, targetPath, stagingPath } = volume;
        await volume.stage();
        await volume.publish();
        volume.write('here');
        // Something is left to be written.
        writeFileSync(join(targetPath, 'late'), 'not written yet');
        await lab.stopTarget();
        const paths = [targetPath, stagingPath, join(targetPath, 'a', 'b'), join(targetPath, 'late', 'c')];
        const ask = async (): Promise<string[]> =>
          within(
            'statistics of a volume whose target is silent',
            STATS_MS,
            Promise.all(
              [...paths, ...paths].map(async (volumePath) => node.outcome('NodeGetVolumeStats', { volumeId, volumePath })),
            ),
          );
        await ask();
        await eventually('health to say so', NOTICE_MS, async () => {
          const { volumeHealth } = await node.call('NodeGetVolumeHealth', { volumeId });
          return volumeHealth?.healthStatuses?.some(({ reason }) => reason === 'TargetNotResponding');
        });
        const [at, staged, ...inside] = await ask();
        for (const outcome of [at, staged]) expect(outcome).toMatch(/^UNAVAILABLE: .*e10\.1 is down/);
        for (const outcome of inside.slice(0, 2)) expect(outcome).toMatch(/^NOT_FOUND/);
        await within('NodeUnpublishVolume', UNSTAGE_MS, volume.unpublish());
        // What is not written may be lost by nobody's decision but a person's.
        for (let call = 0; call < 2; call++) {
          const outcome = await within('NodeUnstageVolume', UNSTAGE_MS, node.outcome('NodeUnstageVolume', volume.unstageRequest));
          expect(outcome).toMatch(
            /^UNAVAILABLE: cannot unstage .*e10\.1 is down .* run on this node: aoe-csi detach --force e10\.1/,
          );
        }
        await lab.startTarget();
        await node.insist('NodeUnstageVolume', volume.unstageRequest);
        expect(volume.isGone).toBe(true);
        await volume.stage();
        await volume.publish();
        expect(readFileSync(join(targetPath, 'late'), 'utf8')).toBe('not written yet');

        writeFileSync(join(targetPath, 'lost'), 'never written');
        await lab.stopTarget();
        await within('NodeUnpublishVolume', UNSTAGE_MS, volume.unpublish());
        const lost = node.outcome('NodeUnstageVolume', volume.unstageRequest);
        expect(await within('NodeUnstageVolume', UNSTAGE_MS, lost)).toMatch(/^UNAVAILABLE/);
        expect(await lab.initiator.run('detach', 'e10.1', '--force')).toMatchObject({ code: 0 });
        await within('NodeUnstageVolume', UNSTAGE_MS, node.insist('NodeUnstageVolume', volume.unstageRequest));
        expect(volume.isGone).toBe(true);
        expect((await lab.initiator.stat()).attachments).toEqual([]);

        // A stage waits as long as its caller, leaves nothing, and the next one finds the target as soon as it is there.
        expect(await node.outcome('NodeStageVolume', volume.stageRequest, 4_000)).toMatch(/^(UNAVAILABLE|DEADLINE_EXCEEDED)/);
        await node.insist('NodeUnstageVolume', volume.unstageRequest);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
        await lab.startTarget();
        await node.insist('NodeStageVolume', volume.stageRequest);
        await volume.publish();
        expect(volume.read()).toBe('here');

        // Taken from this node: then that is the decision.
        writeFileSync(join(targetPath, 'stale'), 'must not be written');
        await lab.stopTarget();
        await lab.publish('e10.1', 2, 'SINGLE_NODE_WRITER', 'node-2');
        await within('NodeUnpublishVolume', UNSTAGE_MS, volume.unpublish());
        await within('NodeUnstageVolume', UNSTAGE_MS, node.insist('NodeUnstageVolume', volume.unstageRequest));
        await node.logged(/has been taken from this node, and e10\.1 is down .* dropped/);
        expect(volume.isGone).toBe(true);
      });
    },
    TEST_MS,
  );
});

describeIf(NODE_REQUIREMENTS, 'a volume with deadSeconds', () => {
  testIf(
    [],
    'comes off its node by itself when its target has been silent for so long',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const volumeId = await lab.volume('e10.1', { parameters: { deadSeconds: '5' } });
        const volume = new NodeVolume(lab, node, volumeId, 'ext4');
        await volume.stage();
        await volume.publish();
        writeFileSync(join(volume.targetPath, 'lost'), 'not written yet');
        await lab.stopTarget();
        await within('NodeUnpublishVolume', UNSTAGE_MS, volume.unpublish());
        await within('NodeUnstageVolume', 2 * UNSTAGE_MS, node.insist('NodeUnstageVolume', volume.unstageRequest));
        expect(volume.isGone).toBe(true);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
        expect((await lab.record('e10.1')).claim?.fingerprint).toBeUndefined();
      });
    },
    TEST_MS,
  );
});

describeIf(NODE_REQUIREMENTS, 'a long format', () => {
  testIf(
    [],
    'goes on when its caller gives up, is told of, is not run twice, and is begun anew after a crash in the middle',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const once = join(lab.folder('programs'), 'once');
        // Stops after what mkfs.ext4 writes first: an inode table, say.
        const begin = `dd if=/dev/urandom "of=$device" bs=4096 seek=70 count=1 conv=notrunc,fsync oflag=direct status=none`;
        const script = `for device; do :; done; if ! [ -e '${once}' ]; then ${begin}; >'${once}'; exec sleep 600; fi`;
        const mkfs = new ProgramInFront(lab, 'mkfs.ext4', script);
        const node = await lab.startNode({ environment: mkfs.environment });
        const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'ext4');
        const first = node.outcome('NodeStageVolume', volume.stageRequest, 3_000);
        await eventually('mkfs to be in the middle', NOTICE_MS, () => existsSync(once));
        expect(await first).toMatch(/^DEADLINE_EXCEEDED/);
        const underWay = /^ABORTED: an operation on volume e10\.1 is under way; call again when it has ended$/;
        expect(await node.outcome('NodeStageVolume', volume.stageRequest)).toMatch(underWay);
        expect(await node.outcome('NodeUnstageVolume', volume.unstageRequest)).toMatch(underWay);
        await node.logged(/making ext4 on \/dev\/\S+: \d+ s, \d+ MB written/);
        expect(mkfs.calls).toHaveLength(1);
        await node.restart();
        await node.insist('NodeStageVolume', volume.stageRequest);
        expect(mkfs.calls).toHaveLength(2);
        await volume.publish();
        volume.write('here');
        expect(volume.read()).toBe('here');
        await volume.unpublish();
        await volume.unstage();
        expect((await lab.record('e10.1')).claim?.format.state).toBe('formatted');
        await volume.stage();
        expect(mkfs.calls).toHaveLength(2);
        await volume.unstage();
      });
    },
    TEST_MS,
  );
});
