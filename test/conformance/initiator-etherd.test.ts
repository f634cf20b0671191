import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { SAN } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { command, describeIf, device, root } from '../support/requires.ts';

/** Devices under the names that the kernel's aoe driver gives them. */

const needs = [
  ...[root(), command('ip', 'iproute2'), command('vblade'), command('addpart', 'util-linux'), command('mkfs.ext4', 'e2fsprogs')],
  ...[command('nbdfuse', 'libnbd-bin'), device('/dev/fuse'), device('/dev/loop-control')],
];
const BY_FUSE = ['--interfaces', SAN, '--attach', 'fuse'];
const LOOK_MS = 10_000;

function linksOf({ etherd }: InitiatorProcess): string[] {
  return readdirSync(etherd)
    .map((name) => `${name} -> ${readlinkSync(join(etherd, name))}`)
    .toSorted();
}

describeIf(needs, 'links to devices', () => {
  test('they come with the device, and its partitions when they are made, and go with it', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate(...BY_FUSE, '--etherd-partitions');
      const loop = await initiator.must('attach', 'e10.3');
      expect(linksOf(initiator)).toEqual([`e10.3 -> ${loop}`]);
      // As a program does that reads partition tables itself: not every kernel knows every kind of them.
      execFileSync('addpart', [join(initiator.etherd, 'e10.3'), '1', '2048', '2048']);
      await eventually('the partition to be linked', LOOK_MS, () => linksOf(initiator).length > 1);
      expect(linksOf(initiator)).toEqual([`e10.3 -> ${loop}`, `e10.3p1 -> ${loop}p1`]);
      execFileSync('delpart', [loop, '1']);
      execFileSync('addpart', [loop, '2', '4096', '2048']);
      const then = [`e10.3 -> ${loop}`, `e10.3p2 -> ${loop}p2`].join();
      await eventually('the other partition to be linked', LOOK_MS, () => linksOf(initiator).join() === then);
      await initiator.must('detach', 'e10.3');
      expect(linksOf(initiator)).toEqual([]);
    }));

  test('a volume in use keeps its link, and what a killed initiator has left is removed by the next', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk('one'));
      await lab.vblade('e10.4', lab.disk('two'));
      const first = await initiate(...BY_FUSE);
      mkdirSync(first.etherd);
      writeFileSync(join(first.etherd, 'e10.4'), "another's");
      const loop = await first.must('attach', 'e10.3');
      await first.must('attach', 'e10.4');
      await first.logged(/^cannot link .*e10\.4 to \/dev\/loop\d+: there is something that is not ours/);
      expect(realpathSync(join(first.etherd, 'e10.3'))).toBe(loop);
      execFileSync('mkfs.ext4', ['-q', loop]);
      const mountPoint = join(lab.folder, 'mnt');
      mkdirSync(mountPoint);
      execFileSync('mount', [join(first.etherd, 'e10.3'), mountPoint]);
      expect((await first.run('detach', 'e10.3')).code).toBe(5);
      expect(realpathSync(join(first.etherd, 'e10.3'))).toBe(loop);
      execFileSync('umount', [mountPoint]);
      await first.process.end('SIGKILL');
      await launch('i', BY_FUSE).ready();
      expect(readdirSync(first.etherd)).toEqual(['e10.4']);
    }));
});
