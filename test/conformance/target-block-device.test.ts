import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { TARGET } from '../support/faults-laboratory.ts';
import { command, describeIf, device, root } from '../support/requires.ts';
import { DISK_SECTORS, pathIn, refusal, startTarget, withProber, type TargetLaboratory } from '../support/target-process.ts';

/** `aoe-csi target` on a block device: a loop device over a file, so that the test sees what arrives on the medium. */

const needs = [root(), command('ip', 'iproute2'), command('losetup', 'mount'), device('/dev/loop-control')];
const SECTOR = 512;

/** Runs with a loop device over the laboratory's disk. */
async function withLoopDevice(
  run: (given: TargetLaboratory & { loop: string; words: string[] }) => Promise<void>,
): Promise<void> {
  await withProber(1500, async (given) => {
    writeFileSync(given.disk, Buffer.alloc(DISK_SECTORS * SECTOR, 0xaa));
    const loop = execFileSync('losetup', ['--find', '--show', given.disk], { encoding: 'utf8' }).trim();
    const words = ['--state-dir', given.laboratory.folder, `e10.3=${loop}`];
    try {
      await run({ ...given, loop, words });
    } finally {
      // It goes when the target, which dies with the laboratory, has closed it.
      execFileSync('losetup', ['--detach', loop]);
    }
  });
}

describeIf(needs, 'aoe-csi target, block device', () => {
  test('a flushed write is on the medium, and its state in the state folder', async () =>
    withLoopDevice(async ({ laboratory, prober, disk, words }) => {
      await startTarget(laboratory, ...words);
      expect((await prober.identify()).identity).toMatchObject({ sectors: DISK_SECTORS, trim: true, readZeroAfterTrim: false });
      const data = Buffer.alloc(1024, 0x5a);
      expect((await prober.write(8, data)).outcome).toBe('40');
      expect((await prober.flush()).outcome).toBe('40');
      expect(
        readFileSync(disk)
          .subarray(8 * SECTOR, 10 * SECTOR)
          .equals(data),
      ).toBe(true);
      expect((await prober.read(8, 2)).data.equals(data)).toBe(true);
      expect(readFileSync(pathIn(laboratory, 'e10.3.json'), 'utf8')).toContain('"version": 1');
    }));

  test('trim reaches the medium', async () =>
    withLoopDevice(async ({ laboratory, prober, disk, words }) => {
      await startTarget(laboratory, ...words);
      const before = statSync(disk).blocks;
      expect((await prober.trim(0, DISK_SECTORS)).outcome).toBe('40');
      await prober.flush();
      expect(statSync(disk).blocks).toBeLessThan(before / 4);
    }));

  test('a device that grows is seen at the next IDENTIFY', async () =>
    withLoopDevice(async ({ laboratory, prober, disk, loop, words }) => {
      await startTarget(laboratory, ...words);
      truncateSync(disk, 2 * DISK_SECTORS * SECTOR);
      execFileSync('losetup', ['--set-capacity', loop]);
      expect((await prober.identify()).identity?.sectors).toBe(2 * DISK_SECTORS);
      expect((await prober.read(2 * DISK_SECTORS - 1, 1)).outcome).toBe('40');
    }));

  test('a device that is in use is refused for writing', async () =>
    withLoopDevice(async ({ laboratory, loop, words }) => {
      await startTarget(laboratory, ...words);
      const again = await refusal(laboratory, '--interfaces', TARGET, '--forget-state', `e10.4=${loop}`);
      expect(again).toMatch(/^1: .*it is mounted or in use on this machine/);
      await startTarget(laboratory, '--forget-state', `e10.5=${loop},ro`);
    }));
});
