import { closeSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { TargetRecord } from '../../src/volumes/records.ts';
import { eventually } from '../support/faults-process.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { ProgramInFront } from '../support/node-programs.ts';
import { CLUSTER_ID, withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { describeIf, testIf } from '../support/requires.ts';

/** What becomes of a disk when its volume is given back. */

const MIB = 2 ** 20;
const SIZE_BYTES = 64 * MIB;
const GROWN_BYTES = 96 * MIB;
const SECTOR_BYTES = 512;
const SEEN_MS = 30_000;
/** Far from all that a wipe of headers touches. */
const MIDDLE = 40 * MIB;
const LVM_LABEL = Buffer.from('LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001', 'latin1');
const LVM_AT = 512;

/** Writes to the disk behind a target, as somebody who has it from elsewhere. */
function put(lab: NodeLaboratory, bytes: Buffer): void {
  const file = openSync(lab.diskFile('e10.1'), 'r+');
  writeSync(file, bytes, 0, bytes.length, LVM_AT);
  closeSync(file);
}

function found(lab: NodeLaboratory): Buffer {
  const bytes = Buffer.alloc(LVM_LABEL.length);
  const file = openSync(lab.diskFile('e10.1'), 'r');
  readSync(file, bytes, 0, bytes.length, LVM_AT);
  closeSync(file);
  return bytes;
}

describeIf(NODE_REQUIREMENTS, 'the wipe of a volume that was never used', () => {
  testIf([], 'leaves what is there alone, says whose it is not, and frees the target when a person has cleared it', async () => {
    await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
      await lab.startNode();
      await lab.volume('e10.1');
      put(lab, LVM_LABEL);
      const { state, task } = await lab.release('e10.1');
      expect(state).toBe('Released');
      expect(task?.state).toBe('failed');
      expect(task?.message).toMatch(
        /^cannot free e10\.1: found .*, which no volume of this cluster has written; nothing is done/,
      );
      expect(found(lab).equals(LVM_LABEL)).toBe(true);
      expect((await lab.initiator.stat()).attachments).toEqual([]);
      put(lab, Buffer.alloc(LVM_LABEL.length));
      expect(await lab.release('e10.1')).toMatchObject({ state: 'Available', reason: '' });
      expect((await lab.record('e10.1')).claim).toBeUndefined();
    });
  });
});

/** Its record forgets the volume, as a store that was restored has forgotten it; the claim stays on the target. */
async function loseVolume(lab: NodeLaboratory): Promise<void> {
  await lab.setRecord('e10.1', (record) => ({
    ...record,
    state: 'Foreign',
    reason: 'claimed by this cluster',
    publications: [],
    claim: undefined,
  }));
}

async function releaseByHand(lab: NodeLaboratory, ...words: readonly string[]): Promise<string> {
  const { code, err } = await aoeCsi('release', 'e10.1', '--store', lab.storeFolder, '--cluster-id', CLUSTER_ID, ...words);
  return `${String(code)}: ${err}`;
}

/** As controllers hand it out. */
async function wiped(lab: NodeLaboratory): Promise<TargetRecord> {
  const { state, claim } = await lab.record('e10.1');
  expect(state).toBe('Released');
  return lab.task('e10.1', 'wipe', `wipe:${claim?.claim ?? ''}`);
}

describeIf(NODE_REQUIREMENTS, 'a target whose volume is lost', () => {
  testIf([], 'is given back by a person: when its disk is blank, or wiped', async () => {
    await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
      await lab.startNode();
      expect(await releaseByHand(lab)).toMatch(/^5: .*cannot release e10\.1: it is Available; only/);
      await lab.volume('e10.1');
      expect(await releaseByHand(lab)).toMatch(/^5: .*cannot release e10\.1: it is Claimed; only/);
      put(lab, LVM_LABEL);
      await loseVolume(lab);
      expect(await releaseByHand(lab)).toMatch(/^0: e10\.1: a node takes claim [a-z2-7]{26} off the target if its disk is blank/);
      expect((await wiped(lab)).task?.message).toMatch(/^cannot free e10\.1: found .*nothing is done/);
      expect(found(lab).equals(LVM_LABEL)).toBe(true);

      await loseVolume(lab);
      expect(await releaseByHand(lab, '--wipe', 'zero')).toMatch(/^0: .*when it is wiped \(zero\)/);
      expect(await wiped(lab)).toMatchObject({ state: 'Available', reason: '' });
      expect(found(lab).equals(Buffer.alloc(LVM_LABEL.length))).toBe(true);
      expect((await lab.initiator.stat()).targets[0]?.configString).toBe('');
    });
  });
});

/** What is left at the start and in the middle of a disk that was full of sevens. */
const POLICIES = [
  { wipe: 'headers', start: 0, middle: 7 },
  { wipe: 'zero', start: 0, middle: 0 },
  { wipe: 'discard', start: 0, middle: 0 },
  { wipe: 'none', start: 7, middle: 7 },
] as const;

describeIf(NODE_REQUIREMENTS, 'the wipe of a volume that was used', () => {
  testIf([], 'covers a disk that has grown since its size was recorded', async () => {
    await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
      const node = await lab.startNode();
      const parameters = { wipe: 'zero' };
      const volume = new NodeVolume(lab, node, await lab.volume('e10.1', { parameters }), 'block');
      await lab.stopTarget();
      truncateSync(lab.diskFile('e10.1'), GROWN_BYTES);
      await lab.startTarget();
      await eventually('the growth to be seen', SEEN_MS, async () => {
        return (await lab.initiator.stat()).targets[0]?.sectors === GROWN_BYTES / SECTOR_BYTES;
      });
      await node.insist('NodeStageVolume', volume.stageRequest);
      await node.insist('NodePublishVolume', volume.publishRequest);
      const device = openSync(volume.targetPath, 'r+');
      writeSync(device, Buffer.alloc(MIB, 7), 0, MIB, GROWN_BYTES - 2 * MIB);
      closeSync(device);
      await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
      await node.insist('NodeUnstageVolume', volume.unstageRequest);
      expect((await lab.record('e10.1')).identity.sizeBytes).toBe(SIZE_BYTES);
      expect(await lab.release('e10.1')).toMatchObject({ state: 'Available', reason: '' });
      expect(readFileSync(lab.diskFile('e10.1')).every((byte) => byte === 0)).toBe(true);
    });
  });

  testIf([], 'has nothing under way any more when it fails, and is done when it is tried again', async () => {
    await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
      // As a dd that could not be killed, it keeps the device for a while.
      const keep = 'for word; do case "$word" in of=*) sleep 8 <"${word#of=}" >/dev/null 2>&1 & esac; done';
      const broken = join(lab.folder('programs'), 'broken');
      const fail = `${keep}; echo 'no such luck' >&2; exit 1`;
      const dd = new ProgramInFront(lab, 'dd', `if [ -e '${broken}' ] && [ "$1" = if=/dev/zero ]; then ${fail}; fi`);
      const node = await lab.startNode({ environment: dd.environment });
      const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'block');
      await volume.stage();
      await volume.unstage();
      writeFileSync(broken, '');
      const failed = await lab.release('e10.1');
      expect(failed).toMatchObject({ state: 'Wiping', task: { state: 'failed' } });
      expect(failed.task?.message).toMatch(/^cannot write \d+ bytes at 0 of .*no such luck/);
      expect((await lab.initiator.stat()).attachments).toEqual([]);
      rmSync(broken);
      expect(await lab.task('e10.1', 'wipe', failed.task?.id ?? '')).toMatchObject({ state: 'Available', reason: '' });
    });
  });

  for (const { wipe, start, middle } of POLICIES) {
    testIf([], `leaves what its class says when that is ${wipe}`, async () => {
      await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
        const node = await lab.startNode();
        const volume = new NodeVolume(lab, node, await lab.volume('e10.1', { parameters: { wipe } }), 'block');
        await node.insist('NodeStageVolume', volume.stageRequest);
        await node.insist('NodePublishVolume', volume.publishRequest);
        const device = openSync(volume.targetPath, 'r+');
        for (let at = 0; at < SIZE_BYTES; at += MIB) writeSync(device, Buffer.alloc(MIB, 7), 0, MIB, at);
        closeSync(device);
        await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
        await node.insist('NodeUnstageVolume', volume.unstageRequest);
        expect(await lab.release('e10.1')).toMatchObject({ state: 'Available', reason: '' });
        const disk = readFileSync(lab.diskFile('e10.1'));
        expect({ start: disk[0], middle: disk[MIDDLE], end: disk[SIZE_BYTES - 1] }).toEqual({ start, middle, end: start });
      });
    });
  }
});
