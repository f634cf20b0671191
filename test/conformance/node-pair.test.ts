import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { fenceTask } from '../../src/controller/tasks.ts';
import { eventually } from '../support/faults-process.ts';
import { withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { patiently } from '../support/patience.ts';
import { describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 90_000;
/** Who is kept out waits for the reservation as long as its caller does. */
const IMPATIENT_MS = 4_000;
const NOTICE_MS = 15_000;
const WRITE_MS = 20_000;
const ADDRESS = 'e10.1';
const WRITER = 'SINGLE_NODE_WRITER';
const READERS = 'MULTI_NODE_READER_ONLY';

/** Writes to the volume as a pod does, in a process of its own: the error, or '' when it is on the disk. */
async function write(volume: NodeVolume): Promise<string> {
  const words = ['if=/dev/zero', `of=${join(volume.targetPath, 'other')}`, 'bs=4096', 'count=1', 'conv=fsync', 'status=none'];
  return new Promise((done) => {
    execFile('dd', words, { timeout: patiently(WRITE_MS), killSignal: 'SIGKILL' }, (error, _out, stderr) =>
      done(error === null ? '' : stderr.trim() || error.message),
    );
  });
}

async function reasons(node: NodeProcess, volumeId: string): Promise<string[]> {
  const { volumeHealth } = await node.call('NodeGetVolumeHealth', { volumeId });
  return (volumeHealth?.healthStatuses ?? []).map(({ reason }) => reason);
}

async function isFenced(lab: NodeLaboratory, nodeId: string, volumeId: string): Promise<boolean> {
  return (await lab.store.nodes.get(nodeId))?.value.staged[volumeId]?.fenced === true;
}

describeIf(NODE_REQUIREMENTS, 'two nodes', () => {
  testIf(
    [],
    'have a volume one after the other: who stages it takes it over, and who had it can’t write any more, says so, and comes off it',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2 }, async (lab) => {
        const [first, second] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        const volumeId = await lab.volume(ADDRESS);
        const before = new NodeVolume(lab, first, volumeId, 'ext4');
        const after = new NodeVolume(lab, second, volumeId, 'ext4');
        await before.stage();
        await before.publish();
        before.write('by the first');
        expect(await second.outcome('NodeStageVolume', after.stageRequest)).toMatch(
          /^FAILED_PRECONDITION: .*not published there/,
        );
        expect(await write(before)).toBe('');

        await lab.publish(ADDRESS, 2, WRITER, 'node-2');
        after.epoch = 2;
        await after.stage();
        await after.publish();
        expect(after.read()).toBe('by the first');
        expect(await write(before)).not.toBe('');
        await eventually('the first node to say so', NOTICE_MS, async () => {
          const isSaid = (await reasons(first, volumeId)).includes('Fenced') && (await isFenced(lab, 'node-1', volumeId));
          return isSaid && !(await isFenced(lab, 'node-2', volumeId));
        });
        expect(await first.outcome('NodeStageVolume', before.stageRequest)).toMatch(
          /^FAILED_PRECONDITION: .*not published there/,
        );
        after.write('by the second');
        await before.unpublish();
        await before.unstage();
        expect(before.isGone).toBe(true);
        expect((await lab.initiators[0].stat()).attachments).toEqual([]);
        // Its leaving has let nobody in.
        expect(await write(after)).toBe('');
        expect(await reasons(second, volumeId)).toEqual([]);
        await after.unpublish();
        await after.unstage();

        await lab.publish(ADDRESS, 3, WRITER, 'node-1');
        expect(await first.outcome('NodeStageVolume', before.stageRequest)).toMatch(
          /^FAILED_PRECONDITION: .*published again since/,
        );
        before.epoch = 3;
        await before.stage();
        await before.publish();
        expect(before.read()).toBe('by the second');
        expect(await write(before)).toBe('');
        await before.unpublish();
        await before.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'read a volume at the same time, also when it was last fenced',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2 }, async (lab) => {
        const [first, second] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        const volumeId = await lab.volume(ADDRESS);
        const writer = new NodeVolume(lab, first, volumeId, 'ext4');
        await writer.stage();
        await writer.publish();
        writer.write('for all');
        await writer.unpublish();
        await writer.unstage();
        // What a controller lets be done when a node has died.
        const { id } = fenceTask('node-9', 1, 'node-2');
        expect((await lab.task(ADDRESS, 'fence', id, 'node-2')).task?.state).toBe('done');

        await lab.publish(ADDRESS, 2, READERS, 'node-1', 'node-2');
        const readers = [first, second].map((node) => new NodeVolume(lab, node, volumeId, 'ext4', { mode: READERS }));
        for (const [index, reader] of readers.entries()) reader.epoch = 2 + index;
        await Promise.all(readers.map(async (reader) => reader.stage()));
        for (const [index, reader] of readers.entries()) {
          await reader.publish();
          execFileSync('blockdev', ['--flushbufs', (await lab.initiators[index].stat()).attachments[0].device]);
          expect(reader.read()).toBe('for all');
          expect(await write(reader)).toMatch(/Read-only file system/);
        }
        for (const reader of readers) {
          expect(await reasons(reader === readers[0] ? first : second, volumeId)).toEqual([]);
          await reader.unpublish();
          await reader.unstage();
        }
        await lab.publish(ADDRESS, 4, WRITER, 'node-1');
        writer.epoch = 4;
        await writer.stage();
        await writer.publish();
        expect(await write(writer)).toBe('');
        await writer.unpublish();
        await writer.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'that format one volume at once leave it to one of them, whole',
    async () => {
      const addresses = ['e10.1', 'e10.2'];
      const disks = Object.fromEntries(addresses.map((address) => [address, 64 * MIB]));
      await withNode({ disks, machines: 2 }, async (lab) => {
        const [first, second] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        for (const address of addresses) {
          const volumeId = await lab.volume(address);
          await lab.publish(address, 1, WRITER, 'node-1', 'node-2');
          const [one, other] = [new NodeVolume(lab, first, volumeId, 'ext4'), new NodeVolume(lab, second, volumeId, 'ext4')];
          other.epoch = 2;
          await Promise.all([
            first.outcome('NodeStageVolume', one.stageRequest, IMPATIENT_MS),
            second.outcome('NodeStageVolume', other.stageRequest, IMPATIENT_MS),
          ]);
          // The controller has made up its mind.
          await lab.publish(address, 2, WRITER, 'node-2');
          await second.insist('NodeStageVolume', other.stageRequest);
          await other.publish();
          expect(await write(other)).toBe('');
          await first.insist('NodeUnstageVolume', one.unstageRequest);
          await other.unpublish();
          await other.unstage();
          expect((await lab.record(address)).claim?.format).toMatchObject({ state: 'formatted', fsType: 'ext4' });
          execFileSync('e2fsck', ['-f', '-n', lab.diskFile(address)], { stdio: 'ignore' });
        }
      });
    },
    TEST_MS,
  );
});
