import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from '@jest/globals';
import { eventually } from '../support/faults-process.ts';
import { must, withNode, type NodeLaboratory, type Use } from '../support/node-laboratory.ts';
import { mountsBelow } from '../support/initiator-process.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume, type NodeVolumeOptions } from '../support/node-volume.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const HEALTHY_MS = 5_000;
const TEST_MS = 60_000;
const USES: readonly (readonly [use: Use, program: string, debianPackage: string])[] = [
  ['ext4', 'mkfs.ext4', 'e2fsprogs'],
  ['xfs', 'mkfs.xfs', 'xfsprogs'],
  ['btrfs', 'mkfs.btrfs', 'btrfs-progs'],
];
/** Linux: PATH_MAX without the NUL, and NAME_MAX. */
const PATH_BYTES_MAX = 4095;
const NAME_BYTES_MAX = 255;
/** CSI: a string field. */
const VOLUME_NAME_BYTES_MAX = 128;
/** Each of them is written in another way in mountinfo, or looks as if it were. */
const AWKWARD = 'a b\tc\nd\\040e #"\'$(x) ünïcødé 体积 🗄';

/** A path of this length in bytes, whose names are awkward and about as long as can be; the folder above it is made. */
function longPath(root: string, bytes: number): string {
  const left = bytes - Buffer.byteLength(root);
  const count = Math.ceil(left / (NAME_BYTES_MAX + 1));
  const lengths = Array.from(
    { length: count },
    (_, index) => Math.floor((left * (index + 1)) / count) - Math.floor((left * index) / count),
  );
  const names = lengths.map((length) => AWKWARD + 'x'.repeat(length - 1 - Buffer.byteLength(AWKWARD)));
  const path = join(root, ...names);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** Everything that takes a path, in a life of its own. */
async function live(lab: NodeLaboratory, node: NodeProcess, volume: NodeVolume): Promise<void> {
  const { volumeId } = volume;
  await volume.stage();
  await volume.stage();
  await volume.publish();
  await volume.publish();
  volume.write('here');
  expect(volume.read()).toBe('here');
  await node.restart();
  for (const volumePath of [volume.targetPath, volume.stagingPath]) {
    const { usage } = await node.call('NodeGetVolumeStats', { volumeId, volumePath });
    expect(usage[0].total).toBeGreaterThan(0);
    await node.call('NodeExpandVolume', { volumeId, volumePath, capacityRange: { requiredBytes: 16 * MIB } });
  }
  // On a busy machine a target may just now have been too slow for a moment.
  await eventually('the volume to be healthy', HEALTHY_MS, async () => {
    const { volumeHealth } = await node.call('NodeGetVolumeHealth', { volumeId });
    return volumeHealth?.healthStatuses.length === 0;
  });
  expect(await node.outcome('NodeUnstageVolume', volume.unstageRequest)).toMatch(/^FAILED_PRECONDITION: .*still shown at/);
  await volume.unpublish();
  await volume.unstage();
  expect(volume.isGone).toBe(true);
  expect((await lab.initiator.stat()).attachments).toEqual([]);
}

describeIf(NODE_REQUIREMENTS, 'a volume in any place', () => {
  testIf(
    [],
    'lives where the folder that it is mounted in is bound to itself, and seen in another place as well',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const [kubelet, view] = [lab.folder('kubelet'), lab.folder('view')];
        // The folder above them is shared: each mount in one of the two is made in the other, and below the first one.
        must('mount', '--bind', kubelet, kubelet);
        must('mount', '--bind', kubelet, view);
        for (const use of ['ext4', 'block'] as const) {
          await live(lab, node, new NodeVolume(lab, node, await lab.volume('e10.1', { name: use }), use));
          expect(mountsBelow(view)).toEqual([view]);
          await lab.release('e10.1');
        }
      });
    },
    TEST_MS,
  );

  for (const [use, program, debianPackage] of USES) {
    testIf(
      [command(program, debianPackage)],
      `lives as ${use} at awkward paths, and at the longest that Linux has`,
      async () => {
        await withNode({ disks: { 'e10.1': 320 * MIB } }, async (lab) => {
          const node = await lab.startNode();
          // As long as CSI allows, in bytes.
          const name = AWKWARD.padEnd(AWKWARD.length + VOLUME_NAME_BYTES_MAX - Buffer.byteLength(AWKWARD), 'n');
          const volumeId = await lab.volume('e10.1', { name });
          const stagingPath = lab.folder(`staged ${AWKWARD}`);
          const targetPath = join(lab.folder(`pods ${AWKWARD}`), AWKWARD);
          await live(lab, node, new NodeVolume(lab, node, volumeId, use, { stagingPath, targetPath }));
          const longest = {
            stagingPath: longPath(lab.folder('s'), PATH_BYTES_MAX),
            targetPath: longPath(lab.folder('t'), PATH_BYTES_MAX - '/file'.length),
          };
          mkdirSync(longest.stagingPath);
          await live(lab, node, new NodeVolume(lab, node, volumeId, use, longest));
        });
      },
      TEST_MS,
    );
  }

  testIf(
    [],
    'is the same whether a kubelet folder is named or a symbolic link to it, and leaves when its folders are gone',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB, 'e10.2': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const real = lab.folder('data', 'kubelet');
        const link = join(lab.folder('var'), 'kubelet');
        symlinkSync(real, link);
        mkdirSync(join(real, 'pods'));
        mkdirSync(join(real, 'staged'));
        // The staging folder itself may be a link, too.
        symlinkSync(join(real, 'staged'), join(real, 'staging'));
        const paths = { stagingPath: join(link, 'staging'), targetPath: join(link, 'pods', 'volume') };
        const volumeId = await lab.volume('e10.1');
        const linked = new NodeVolume(lab, node, volumeId, 'ext4', paths);
        const direct = new NodeVolume(lab, node, volumeId, 'ext4', {
          stagingPath: join(real, 'staged'),
          targetPath: join(real, 'pods', 'volume'),
        });
        await linked.stage();
        await direct.stage();
        await direct.publish();
        await linked.publish();
        expect(direct.isShown).toBe(true);
        expect((await node.call('NodeGetVolumeStats', linked.statsRequest)).usage).toHaveLength(2);
        await linked.unpublish();
        await direct.unpublish();
        expect(existsSync(direct.targetPath)).toBe(false);
        await linked.unstage();
        expect(direct.isGone).toBe(true);

        // Somebody has cleaned up what looked unused.
        const stagingPath = lab.folder('cleaned', 'up');
        const block = new NodeVolume(lab, node, await lab.volume('e10.2'), 'block', { stagingPath });
        await block.stage();
        rmSync(join(lab.lab.folder, 'cleaned'), { recursive: true });
        await block.unstage();
        expect((await lab.initiator.stat()).attachments).toEqual([]);
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is refused, and nothing is left, where no volume can be',
    async () => {
      await withNode({ disks: { 'e10.1': 64 * MIB } }, async (lab) => {
        const node = await lab.startNode();
        const volumeId = await lab.volume('e10.1');
        const file = join(lab.folder('kubelet'), 'file');
        writeFileSync(file, 'precious');
        const isRefused = async (
          options: NodeVolumeOptions,
          method: 'NodeStageVolume' | 'NodePublishVolume',
          pattern: RegExp,
        ) => {
          const volume = new NodeVolume(lab, node, volumeId, 'ext4', options);
          const request = method === 'NodeStageVolume' ? volume.stageRequest : volume.publishRequest;
          expect(await node.outcome(method, request)).toMatch(pattern);
        };
        const missing = join(lab.folder('kubelet'), 'a', 'b');
        await isRefused({ stagingPath: 'relative' }, 'NodeStageVolume', /^INVALID_ARGUMENT/);
        await isRefused({ stagingPath: `/${'x'.repeat(PATH_BYTES_MAX)}` }, 'NodeStageVolume', /^INVALID_ARGUMENT/);
        await isRefused({ stagingPath: `/${'x'.repeat(NAME_BYTES_MAX + 1)}` }, 'NodeStageVolume', /^FAILED_PRECONDITION/);
        await isRefused({ stagingPath: missing }, 'NodeStageVolume', /^FAILED_PRECONDITION: .*no such directory/);
        await isRefused({ stagingPath: file }, 'NodeStageVolume', /^FAILED_PRECONDITION: .*no such directory/);
        expect((await lab.initiator.stat()).attachments).toEqual([]);

        const volume = new NodeVolume(lab, node, volumeId, 'ext4');
        await isRefused({}, 'NodePublishVolume', /^FAILED_PRECONDITION: .*not staged/);
        await volume.stage();
        await isRefused({ targetPath: 'relative' }, 'NodePublishVolume', /^INVALID_ARGUMENT/);
        await isRefused({ targetPath: `${file}/below` }, 'NodePublishVolume', /^FAILED_PRECONDITION/);
        await isRefused({ targetPath: missing }, 'NodePublishVolume', /^FAILED_PRECONDITION: .*folder above/);
        await isRefused({ targetPath: file }, 'NodePublishVolume', /^FAILED_PRECONDITION: .*something else is there/);
        await isRefused({ targetPath: `/${'x'.repeat(NAME_BYTES_MAX + 1)}` }, 'NodePublishVolume', /^FAILED_PRECONDITION/);
        // What is no mount of ours is not removed, either.
        expect(await node.outcome('NodeUnpublishVolume', { volumeId, targetPath: file })).toMatch(/^INTERNAL: .*there is data/);
        expect(readFileSync(file, 'utf8')).toBe('precious');
        expect(readdirSync(lab.folder('kubelet'))).toEqual(expect.not.arrayContaining(['a']));
        await volume.publish();
        await volume.unpublish();
        await volume.unstage();
      });
    },
    TEST_MS,
  );
});
