import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 60_000;
/** tmpfs counts in pages; a record takes one, and another one while it is replaced. */
const PAGE_BYTES = 4096;
const DISK_PAGES = 8;
const IS_FULL = /^UNAVAILABLE: cannot remember .*: ENOSPC; make room on that disk, then call again$/;

/** A state directory on a disk of its own, which can be filled. */
class SmallDisk {
  readonly path: string;

  constructor(lab: NodeLaboratory) {
    this.path = lab.folder('small');
    execFileSync('mount', ['-n', '-t', 'tmpfs', '-o', `size=${DISK_PAGES * PAGE_BYTES}`, 'aoe-csi-state', this.path]);
  }

  /** Leaves so many pages free. */
  fill(freePages = 0): void {
    this.free();
    const file = openSync(this.#ballast, 'w');
    const page = Buffer.alloc(PAGE_BYTES);
    let pages = 0;
    try {
      for (; ; pages++) writeSync(file, page);
    } catch (error) {
      expect((error as { code?: string }).code).toBe('ENOSPC');
    }
    closeSync(file);
    execFileSync('truncate', ['--size', String((pages - freePages) * PAGE_BYTES), this.#ballast]);
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  remount(option: 'ro' | 'rw'): void {
    execFileSync('mount', ['-n', '-o', `remount,${option}`, this.path]);
  }

  /** What the plugin has put there. */
  get files(): string[] {
    return readdirSync(this.path).filter((name) => name !== 'ballast');
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }
}

describeIf(NODE_REQUIREMENTS, 'a node plugin whose state directory', () => {
  testIf(
    [],
    'is full takes up nothing that it could not remember, and takes down everything',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const disk = new SmallDisk(lab);
        const node = await lab.startNode({ stateFolder: disk.path });
        const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'ext4');
        const { volumeId, targetPath: volumePath } = volume;
        // With one free page it can be remembered that a stage has begun, and no more.
        for (const freePages of [0, 1]) {
          disk.fill(freePages);
          expect(await node.outcome('NodeStageVolume', volume.stageRequest)).toMatch(IS_FULL);
          expect((await lab.initiator.stat()).attachments).toEqual([]);
          expect(volume.isGone).toBe(true);
          expect(disk.files).toEqual([]);
        }
        disk.free();
        await volume.stage();
        disk.fill();
        await volume.stage();
        expect(await node.outcome('NodePublishVolume', volume.publishRequest)).toMatch(IS_FULL);
        expect(volume.isShown).toBe(false);
        expect(readdirSync(join(volumePath, '..'))).toEqual([]);
        disk.free();
        await volume.publish();
        volume.write('here');

        disk.fill();
        await volume.publish();
        expect((await node.call('NodeGetVolumeStats', volume.statsRequest)).usage).toHaveLength(2);
        expect((await node.call('NodeGetVolumeHealth', { volumeId })).volumeHealth?.healthStatuses).toEqual([]);
        await node.call('NodeExpandVolume', { volumeId, volumePath, capacityRange: { requiredBytes: 64 * MIB } });
        await node.restart();
        expect(volume.read()).toBe('here');
        await volume.unpublish();
        // What could not be written down is found out by the next process.
        await node.restart();
        await volume.unpublish();
        await volume.unstage();
        expect(volume.isGone).toBe(true);
        expect(disk.files).toEqual([]);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'can only be read does nothing, says so, and goes on when it can be written',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const disk = new SmallDisk(lab);
        const node = await lab.startNode({ stateFolder: disk.path });
        const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'block');
        const cannot = /^UNAVAILABLE: cannot (remember|forget) .*: EROFS; look at that directory, then call again$/;
        disk.remount('ro');
        expect(await node.outcome('NodeStageVolume', volume.stageRequest)).toMatch(cannot);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
        disk.remount('rw');
        await volume.stage();
        disk.remount('ro');
        expect(await node.outcome('NodePublishVolume', volume.publishRequest)).toMatch(cannot);
        expect(volume.isShown).toBe(false);
        disk.remount('rw');
        await volume.publish();
        disk.remount('ro');
        await volume.unpublish();
        // All is taken down, but the next process would think it is there.
        expect(await node.outcome('NodeUnstageVolume', volume.unstageRequest)).toMatch(cannot);
        expect((await lab.initiator.stat()).attachments).toEqual([]);
        disk.remount('rw');
        await volume.unstage();
        expect(disk.files).toEqual([]);
      });
    },
    TEST_MS,
  );
});

describeIf([...NODE_REQUIREMENTS, command('unshare', 'util-linux')], 'a node plugin whose root', () => {
  testIf(
    [],
    'can only be read does all that it does elsewhere',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        // The laboratory's own folder is another mount, as a container's volumes are.
        const script = 'mount -n -o remount,bind,ro / && ! touch /a-file-of-the-test && exec "$@"';
        const launcher = ['unshare', '--mount', '--propagation', 'unchanged', '--', 'sh', '-c', script, 'sh'];
        const node = await lab.startNode({ launcher });
        for (const use of ['ext4', 'block'] as const) {
          const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
          await volume.stage();
          await volume.publish();
          volume.write('here');
          await volume.unpublish();
          await volume.unstage();
          expect(await lab.release('e10.1')).toMatchObject({ state: 'Available' });
        }
      });
    },
    TEST_MS,
  );
});
