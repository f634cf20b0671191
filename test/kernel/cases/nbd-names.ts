import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SAN } from '../../support/faults-laboratory.ts';
import { eventually } from '../../support/faults-process.ts';
import { kill, KernelNbd } from '../../support/kernel-nbd.ts';
import { startTarget } from '../../support/target-process.ts';
import { kernelCase } from '../guest/cases.ts';

/** Devices whose numbers follow from their addresses, and links to them and to their partitions. */

const WORDS = ['--interfaces', SAN, '--attach', 'nbd', '--static-minors', '--etherd-partitions'];
const PARTITIONS = 'label: gpt\nsize=16MiB\nsize=16MiB\n';
const LINK_MS = 20_000;

/** Runs a case with a module that looks for partitions, which is one that nobody has loaded yet. */
async function withPartitions(run: (host: KernelNbd) => Promise<void>): Promise<void> {
  const reload = (...parameters: readonly string[]): void => {
    execFileSync('modprobe', ['--remove', 'nbd']);
    execFileSync('modprobe', ['nbd', 'nbds_max=4', ...parameters]);
  };
  reload('max_part=15');
  try {
    await KernelNbd.use(run);
  } finally {
    reload('max_part=0');
  }
}

kernelCase(
  'with static minors e10.3 is /dev/nbd163, and links to it and to its partitions come and go and outlive the initiator',
  async () =>
    withPartitions(async (host) => {
      await startTarget(host.lab, `e10.3=${host.lab.disk()}`);
      const { etherd } = await host.start(WORDS);
      const links = (): string[] => (existsSync(etherd) ? readdirSync(etherd).sort() : []);
      const shown = async (...names: readonly string[]): Promise<void> => {
        await eventually(`links ${names.join(', ')}`, LINK_MS, () => links().join() === names.join());
      };

      const device = await host.attach('e10.3');
      assert.deepEqual([device, readlinkSync(join(etherd, 'e10.3')), links()], ['/dev/nbd163', device, ['e10.3']]);
      execFileSync('sfdisk', ['--quiet', join(etherd, 'e10.3')], { input: PARTITIONS });
      await shown('e10.3', 'e10.3p1', 'e10.3p2');
      const partition = join(etherd, 'e10.3p2');
      assert.equal(readlinkSync(partition), '/dev/nbd163p2');
      execFileSync('mkfs.ext4', ['-q', partition]);
      const mountPoint = host.mountPoint();
      execFileSync('mount', [partition, mountPoint]);
      writeFileSync(join(mountPoint, 'file'), 'on a partition', { flush: true });

      await assert.rejects(host.detach('e10.3'), /e10\.3 can't be detached: \/dev\/nbd163 is in use/);
      await kill(host.initiator, 'SIGKILL');
      assert.deepEqual(links(), ['e10.3', 'e10.3p1', 'e10.3p2']);
      await host.start(WORDS);
      await host.connected('e10.3');
      await shown('e10.3', 'e10.3p1', 'e10.3p2');
      execFileSync('umount', [mountPoint]);
      execFileSync('mount', ['-o', 'ro', partition, mountPoint]);
      assert.equal(readFileSync(join(mountPoint, 'file'), 'utf8'), 'on a partition');
      execFileSync('umount', [mountPoint]);

      execFileSync('sfdisk', ['--quiet', '--delete', device, '2']);
      await shown('e10.3', 'e10.3p1');
      await host.detach('e10.3');
      assert.deepEqual(links(), []);
    }),
  120_000,
);
