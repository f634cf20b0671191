import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SAN } from '../../support/faults-laboratory.ts';
import { eventually } from '../../support/faults-process.ts';
import { attributeOf, kill, KernelNbd, runUnhurried } from '../../support/kernel-nbd.ts';
import { startTarget } from '../../support/target-process.ts';
import { kernelCase } from '../guest/cases.ts';

/** Devices whose numbers follow from their addresses, and links to them and to their partitions. */

const WORDS = ['--interfaces', SAN, '--attach', 'nbd', '--static-minors', '--etherd-partitions'];
const DISK_BYTES = 64 * 2 ** 20;
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

kernelCase(
  'with static minors an index that qemu-nbd holds is refused, and left alone; a slot that has none is refused, too',
  async (context) =>
    withPartitions(async (host) => {
      const theirs = join(host.lab.folder, 'theirs');
      writeFileSync(theirs, 'of qemu-nbd');
      truncateSync(theirs, DISK_BYTES / 2);
      // Its socket is in /run/lock otherwise, which a guest does not have.
      const socket = `--socket=${join(host.lab.folder, 'qemu-nbd.sock')}`;
      execFileSync('qemu-nbd', ['--connect=/dev/nbd3', socket, '--format=raw', '--read-only', theirs], { stdio: 'inherit' });
      try {
        await startTarget(host.lab, `e0.3=${host.lab.disk()}`, `e0.16=${host.lab.disk('other')}`);
        await eventually('qemu-nbd', LINK_MS, () => Number(attributeOf('nbd3', 'size')) === DISK_BYTES / 2 / 512);
        const pid = attributeOf('nbd3', 'pid');
        await host.start(WORDS);
        await assert.rejects(
          host.attach('e0.3'),
          /e0\.3 must be \/dev\/nbd3 \(--static-minors\), which is in use; end what uses it/,
        );
        await assert.rejects(host.attach('e0.16'), /e0\.16 has no static minor: only slots 0 to 15 have/);
        assert.deepEqual((await host.initiator.stat()).attachments, []);

        // Whoever lets the kernel choose gets another one.
        await kill(host.initiator, 'SIGTERM');
        await host.start();
        const device = await host.attach('e0.3');
        assert.notEqual(device, '/dev/nbd3');
        await host.detach('e0.3');
        assert.deepEqual([attributeOf('nbd3', 'pid'), attributeOf('nbd3', 'ro')], [pid, '1']);
        const held = execFileSync('dd', ['if=/dev/nbd3', 'bs=512', 'count=1', 'status=none']);
        assert.equal(held.toString('latin1', 0, 11), 'of qemu-nbd');
      } finally {
        execFileSync('qemu-nbd', ['--disconnect', '/dev/nbd3']);
      }
      await eventually('qemu-nbd to be gone', LINK_MS, () => attributeOf('nbd3', 'pid') === undefined);
      const left = attributeOf('nbd3', 'ro') === '1' ? 'read-only' : 'writable';
      context.figure(`qemu-nbd --read-only leaves its device ${left}`);
      await kill(host.initiator, 'SIGTERM');
      await host.start(WORDS);
      assert.equal(await host.attach('e0.3'), '/dev/nbd3');
      assert.equal(await runUnhurried('dd', 'if=/dev/zero', 'of=/dev/nbd3', 'bs=4096', 'count=1', 'oflag=direct'), 0);
      await host.detach('e0.3');
    }),
  120_000,
);
