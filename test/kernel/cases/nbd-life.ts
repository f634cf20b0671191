import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { attributeOf, kill, KernelNbd } from '../../support/kernel-nbd.ts';
import { startTarget } from '../../support/target-process.ts';
import { kernelCase } from '../guest/cases.ts';

/** A device of the kernel's NBD driver: made, used, taken away, and taken up again by the next initiator. */

const MIB = 1024 * 1024;

kernelCase(
  'a device is made and set as it should be, is not taken from its users, and goes',
  async () =>
    KernelNbd.use(async (host) => {
      await startTarget(host.lab, `e10.3=${host.lab.disk()}`);
      const initiator = await host.start();
      const device = await host.attach('e10.3');
      assert.match(device, /^\/dev\/nbd\d+$/);
      const names = ['size', 'ro', 'queue/io_timeout', 'queue/scheduler', 'queue/max_sectors_kb', 'queue/logical_block_size'];
      const more = ['queue/write_cache', 'queue/fua', 'queue/discard_max_bytes', 'bdi/max_ratio'];
      assert.deepEqual(
        [...names, ...more].map((name) => attributeOf(device, name)),
        [
          ...[String((64 * MIB) / 512), '0', '1000', '[none] mq-deadline', '1024', '512'],
          ...['write back', '1', String(64 * MIB), '30'],
        ],
      );
      assert.match(attributeOf(device, 'backend') ?? '', /^aoe-csi\/e10\.3\/[0-9a-f]{16}$/);

      const mountPoint = host.mountNew(device);
      await assert.rejects(host.detach('e10.3'), {
        message: `e10.3 can't be detached: ${device} is in use (mounted at ${mountPoint}); end that first, for example with umount`,
      });
      const { error, text } = await host.verify(join(mountPoint, 'file'), 3);
      assert.deepEqual([error, text], [0, '']);
      execFileSync('fstrim', [mountPoint]);
      execFileSync('umount', [mountPoint]);
      execFileSync('e2fsck', ['-fn', device], { stdio: 'ignore' });
      await host.detach('e10.3');
      assert.equal(attributeOf(device, 'backend'), undefined);
      assert.deepEqual(readdirSync(join(initiator.socketPath, '../kernel')), []);
    }),
  60_000,
);

kernelCase(
  'a device grows under a mounted file system that is written to, and never shrinks',
  async () =>
    KernelNbd.use(async (host) => {
      const disk = host.lab.disk();
      await startTarget(host.lab, `e10.3=${disk}`);
      const initiator = await host.start();
      const device = await host.attach('e10.3');
      const mountPoint = host.mountNew(device);
      const writing = host.verify(join(mountPoint, 'file'), 12, '--size=24m');
      execFileSync('truncate', ['-s', '96M', disk]);
      const { sectors } = await host.grow('e10.3');
      assert.deepEqual([sectors, attributeOf(device, 'size')], [(96 * MIB) / 512, String((96 * MIB) / 512)]);
      assert.equal(attributeOf(device, 'queue/io_timeout'), '1000');
      execFileSync('resize2fs', [device], { stdio: 'ignore' });
      const { error, text } = await writing;
      assert.deepEqual([error, text], [0, '']);

      // The next initiator takes it up with its new size.
      await kill(initiator, 'SIGKILL');
      await host.start();
      await host.connected('e10.3');
      assert.equal(attributeOf(device, 'size'), String((96 * MIB) / 512));
      execFileSync('umount', [mountPoint]);
      execFileSync('e2fsck', ['-fn', device], { stdio: 'ignore' });
      await host.detach('e10.3');
    }),
  180_000,
);
