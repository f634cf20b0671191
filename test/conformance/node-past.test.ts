import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { formatConfigString, staticClaimOf } from '../../src/volumes/claim.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { CLUSTER_ID, withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const SIZE_BYTES = 64 * MIB;
const TEST_MS = 60_000;
const NEVER = { state: 'never', fsType: '', uuid: '' } as const;

/** What a disk holds: the same before and after means that nothing was written. */
function content(lab: NodeLaboratory, address: string): string {
  return createHash('sha256')
    .update(readFileSync(lab.diskFile(address)))
    .digest('hex');
}

async function attachments(lab: NodeLaboratory): Promise<unknown[]> {
  return (await lab.initiator.stat()).attachments;
}

/** What the node says to have staged. */
async function stagedOn(lab: NodeLaboratory): Promise<string[]> {
  return Object.keys((await lab.store.nodes.get('node-1'))?.value.staged ?? {});
}

describeIf([...NODE_REQUIREMENTS, command('mkswap', 'util-linux')], 'a disk with a past', () => {
  testIf(
    [],
    'is not formatted unless all says that it never was, and nothing of a refused stage is left',
    async () => {
      const disks = { 'e10.1': SIZE_BYTES, 'e10.2': SIZE_BYTES, 'e10.3': SIZE_BYTES, 'e10.4': SIZE_BYTES, 'e10.5': SIZE_BYTES };
      await withNode({ disks }, async (lab) => {
        execFileSync('mkswap', [lab.diskFile('e10.2')], { stdio: 'ignore' });
        const node = await lab.startNode();
        const isRefused = async (volume: NodeVolume, pattern: RegExp): Promise<void> => {
          const address = volume.volumeId.split('@')[0];
          const before = content(lab, address);
          expect(await node.outcome('NodeStageVolume', volume.stageRequest)).toMatch(pattern);
          expect(content(lab, address)).toBe(before);
          expect(await attachments(lab)).toEqual([]);
          expect(readdirSync(lab.stateFolder)).toEqual([]);
          expect(volume.isGone).toBe(true);
        };

        // The target was replaced, or rolled back.
        const uuid = randomUUID();
        const format = { state: 'formatted', fsType: 'ext4', uuid } as const;
        const emptied = new NodeVolume(lab, node, await lab.volume('e10.1', { format }), 'ext4');
        await isRefused(
          emptied,
          new RegExp(`^FAILED_PRECONDITION: .*found nothing at all.*with ext4, UUID ${uuid}.*never formatted again`),
        );

        // Somebody else's.
        const foreign = new NodeVolume(lab, node, await lab.volume('e10.2'), 'ext4');
        await isRefused(foreign, /^FAILED_PRECONDITION: .*found swap.*belongs to somebody else/);
        const foreignRaw = new NodeVolume(lab, node, foreign.volumeId, 'block');
        await isRefused(foreignRaw, /^FAILED_PRECONDITION: .*it is new, but found swap.*clear the disk by hand/);

        // The record was lost, and found again.
        const lost = new NodeVolume(lab, node, await lab.volume('e10.3'), 'ext4');
        await lost.stage();
        await lost.publish();
        lost.write('precious');
        await lost.unpublish();
        await lost.unstage();
        const { claim } = await lab.record('e10.3');
        await lab.setRecord('e10.3', (record) => ({ ...record, claim: record.claim && { ...record.claim, format: NEVER } }));
        await isRefused(lost, /^FAILED_PRECONDITION: .*found ext4, UUID .*belongs to somebody else/);
        await lab.setRecord('e10.3', (record) => ({ ...record, claim }));
        await lost.stage();
        await lost.publish();
        expect(lost.read()).toBe('precious');
        await lost.unpublish();
        await lost.unstage();

        // What e2fsck does not mend without being told to.
        const debugfs = (words: string): void =>
          void execFileSync('debugfs', ['-w', '-R', words, lab.diskFile('e10.3')], { stdio: 'ignore' });
        debugfs('set_inode_field / mode 0100644');
        debugfs('set_super_value state 2');
        // Without that, a disk that has changed would be refused for this alone.
        await lab.setRecord('e10.3', (record) => ({
          ...record,
          claim: record.claim && { ...record.claim, fingerprint: undefined },
        }));
        expect(await node.outcome('NodeStageVolume', lost.stageRequest)).toMatch(
          /^FAILED_PRECONDITION: .*e2fsck -p does not mend \(exit code 4\).*run e2fsck on it by hand/,
        );
        expect(await attachments(lab)).toEqual([]);

        // A raw device is its user's, who has put nothing on it yet.
        const volumeId = await lab.volume('e10.4');
        const raw = new NodeVolume(lab, node, volumeId, 'block');
        await raw.stage();
        await raw.unstage();
        await isRefused(new NodeVolume(lab, node, volumeId, 'ext4'), /^FAILED_PRECONDITION: .*given out as a raw device before/);

        // A static volume is mounted as it is.
        const fixed = new NodeVolume(lab, node, await lab.staticVolume('e10.5'), 'ext4');
        await isRefused(fixed, /^FAILED_PRECONDITION: .*set format: blank in its volumeAttributes/);
        await node.call('NodeStageVolume', { ...fixed.stageRequest, volumeContext: { format: 'blank' } });
        await fixed.publish();
        await fixed.unpublish();
        await fixed.unstage();
        const claimOnTarget = async (): Promise<string> =>
          // As JSON has bytes.
          String((await lab.initiator.stat()).targets.find(({ name }) => name === 'e10.5')?.configString);
        expect(await claimOnTarget()).toBe('');

        // It claims its target where it is asked to, and is used all the same when it is not asked any more.
        const configString = btoa(formatConfigString(CLUSTER_ID, staticClaimOf(CLUSTER_ID, 'e10.5')));
        await node.call('NodeStageVolume', { ...fixed.stageRequest, volumeContext: { claim: 'yes' } });
        await fixed.unstage();
        expect(await claimOnTarget()).toBe(configString);
        await fixed.stage();
        await fixed.unstage();
        expect(await claimOnTarget()).toBe(configString);

        // Once it is not needed any more, a person gives it back.
        await lab.setRecord('e10.5', (record) => ({ ...record, state: 'Static', publications: [] }));
        const words = ['release', 'e10.5', '--store', lab.storeFolder, '--cluster-id', CLUSTER_ID, '--wipe', 'headers'];
        expect(await aoeCsi(...words)).toMatchObject({ code: 0 });
        const { claim: given } = await lab.record('e10.5');
        expect(await lab.task('e10.5', 'wipe', `wipe:${given?.claim ?? ''}`)).toMatchObject({ state: 'Available' });
        expect(await claimOnTarget()).toBe('');
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is the next volume’s: late calls for the one before do nothing to it',
    async () => {
      await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
        const node = await lab.startNode();
        const old = new NodeVolume(lab, node, await lab.volume('e10.1', { name: 'old' }), 'ext4');
        await old.stage();
        await old.publish();
        await old.unpublish();
        await old.unstage();
        await lab.release('e10.1');
        const volumeId = await lab.volume('e10.1', { name: 'new' });
        const { stagingPath, targetPath } = { stagingPath: lab.folder('new'), targetPath: join(lab.folder('pod'), 'volume') };
        const next = new NodeVolume(lab, node, volumeId, 'ext4', { stagingPath, targetPath });
        const late = async (): Promise<void> => {
          const is = /^NOT_FOUND: there is no volume e10\.1@/;
          expect(await node.outcome('NodeStageVolume', old.stageRequest)).toMatch(is);
          expect(await node.outcome('NodePublishVolume', old.publishRequest)).toMatch(is);
          expect(await node.outcome('NodeGetVolumeStats', old.statsRequest)).toMatch(is);
          expect(await node.outcome('NodeExpandVolume', old.statsRequest)).toMatch(is);
          expect(await node.outcome('NodeGetVolumeHealth', { volumeId: old.volumeId })).toMatch(is);
          await old.unpublish();
          await old.unstage();
          // Even for the places where the new one is.
          const at = { volumeId: old.volumeId, targetPath, stagingTargetPath: stagingPath };
          expect(await node.outcome('NodeUnpublishVolume', at)).toMatch(/^(OK|FAILED_PRECONDITION)/);
          expect(await node.outcome('NodeUnstageVolume', at)).toMatch(/^(OK|FAILED_PRECONDITION)/);
        };
        await late();
        await next.stage();
        await late();
        await next.publish();
        next.write('new');
        await late();
        expect(next.isShown).toBe(true);
        expect(next.read()).toBe('new');
        const stale = { ...next.stageRequest, publishContext: { epoch: '7' } };
        expect(await node.outcome('NodeStageVolume', stale)).toMatch(/^FAILED_PRECONDITION: .*published again since/);
        await next.unpublish();
        await next.unstage();

        // Deleted and made anew while it was still staged here: what is left of it comes away.
        await next.stage();
        await lab.volume('e10.1', { name: 'newest' });
        expect(await node.outcome('NodePublishVolume', next.publishRequest)).toMatch(/^NOT_FOUND/);
        await next.unstage();
        expect(await attachments(lab)).toEqual([]);
      });
    },
    TEST_MS,
  );

  for (const use of ['ext4', 'block'] as const) {
    testIf(
      [],
      `comes off a node as ${use} when the node has forgotten all about it`,
      async () => {
        await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
          const node = await lab.startNode();
          const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
          await volume.stage();
          await volume.publish();
          volume.write('here');
          await node.end('SIGKILL');
          rmSync(lab.stateFolder, { recursive: true });
          await node.start();
          // Else it would be taken from here while a pod uses it.
          expect(await stagedOn(lab)).toEqual([volume.volumeId]);
          expect(volume.read()).toBe('here');
          await volume.unpublish();
          await volume.unstage();
          expect(volume.isGone).toBe(true);
          expect(await attachments(lab)).toEqual([]);
          expect(await stagedOn(lab)).toEqual([]);
          await volume.stage();
          await node.end('SIGKILL');
          rmSync(lab.stateFolder, { recursive: true });
          await node.start();
          await node.insist('NodeStageVolume', volume.stageRequest);
          await volume.publish();
          expect(volume.read()).toBe('here');
          await volume.unpublish();
          await volume.unstage();
          expect(await attachments(lab)).toEqual([]);
        });
      },
      TEST_MS,
    );
  }
});
