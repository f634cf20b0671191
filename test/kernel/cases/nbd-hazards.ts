import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NbdControl } from '../../../src/system/nbd-control.ts';
import { closeFd, socketPair } from '../../../src/system/unix-socket.ts';
import { eventually, within } from '../../support/faults-process.ts';
import { attributeOf, kill, KernelNbd, runUnhurried } from '../../support/kernel-nbd.ts';
import { startTarget } from '../../support/target-process.ts';
import { kernelCase } from '../guest/cases.ts';

/** After so long, I/O of a device that waits for an initiator would fail, had it been left as it was. */
const GIVEN_UP_MS = 4_000;

/** What goes wrong around devices of the kernel's NBD driver. */

kernelCase(
  'a device of somebody else keeps its index, is left alone at restart, and so is one of another initiator',
  async () =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      // The module is loaded by whoever comes first.
      await host.start();
      const control = NbdControl.open();
      const strangers = ['somebody', 'aoe-csi/e10.3/0123456789abcdef'].map((identifier) => {
        const [ours, kernels] = socketPair();
        const limits = { timeoutSeconds: 0, deadConnectionSeconds: 600, serverFlags: 5, blockBytes: 512 };
        const index = control.connect({ identifier, socket: kernels, sizeBytes: 1n << 20n, ...limits });
        closeFd(kernels);
        return { index, identifier, ours };
      });
      try {
        const device = await host.attach('e10.3');
        assert.ok(!strangers.some(({ index }) => device === `/dev/nbd${String(index)}`));
        await kill(host.initiator, 'SIGKILL');
        await host.start();
        await host.connected('e10.3');
        for (const { index, identifier } of strangers) {
          assert.equal(attributeOf(`nbd${String(index)}`, 'backend'), identifier);
        }
        assert.deepEqual(
          (await host.attachments()).map((each) => each.device),
          [device],
        );
        await host.detach('e10.3');
      } finally {
        for (const { index, ours } of strangers) {
          closeFd(ours);
          control.disconnect(index);
        }
        control.close();
      }
    }),
  60_000,
);

kernelCase(
  'a socket that the kernel takes for dead while the initiator lives is replaced, and nothing is lost',
  async () =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      const initiator = await host.start();
      const device = await host.attach('e10.3');
      const control = NbdControl.open();
      const which = { index: Number(device.slice('/dev/nbd'.length)), identifier: attributeOf(device, 'backend') ?? '' };
      const writing = host.verify(device, 10);
      await eventually('some I/O', 20_000, async () => ((await host.attachment('e10.3'))?.requestsDone ?? 0) > 20);
      // Somebody gives the device a timeout, which requests have from now on; then the initiator is silent for longer.
      control.reconfigure({ ...which, timeoutSeconds: 1 });
      await sleep(200);
      initiator.process.signal('SIGSTOP');
      await sleep(5_000);
      initiator.process.signal('SIGCONT');
      await initiator.logged(new RegExp(`${device} of e10\\.3 is connected again after .* \\(its connection has ended\\)`));
      control.reconfigure({ ...which, timeoutSeconds: 0 });
      control.close();
      const { error, text } = await writing;
      assert.deepEqual([error, text], [0, '']);
      await host.detach('e10.3');
    }),
  90_000,
);

kernelCase(
  'a device that somebody disconnects under a mount is lost, says so, and is made anew when its user has ended',
  async () =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      const initiator = await host.start();
      const device = await host.attach('e10.3');
      const mountPoint = host.mountNew(device);
      execFileSync('nbd-client', ['-d', device], { stdio: 'ignore' });
      const lost = await initiator.logged(new RegExp(`${device} of e10\\.3 is lost: it has been disconnected by somebody else`));
      assert.match(lost, /end them, detach e10\.3 and attach it again/);
      await assert.rejects(host.attach('e10.3'), /is lost: it has been disconnected/);
      await assert.rejects(host.detach('e10.3'), new RegExp(`is in use \\(mounted at ${mountPoint}`));
      execFileSync('umount', [mountPoint]);
      await host.detach('e10.3');
      const again = await host.attach('e10.3');
      execFileSync('mount', [again, mountPoint]);
      execFileSync('umount', [mountPoint]);
      await host.detach('e10.3');
    }),
  90_000,
);

kernelCase(
  'after a restart I/O waits for the disk that the device was made of, and another one at its address is not touched',
  async () =>
    KernelNbd.use(async (host) => {
      const disk = host.lab.disk();
      const right = await startTarget(host.lab, `e10.3=${disk}`);
      await host.start();
      const device = await host.attach('e10.3');
      const mountPoint = host.mountNew(device);
      await kill(host.initiator, 'SIGKILL');
      await right.end();
      const other = host.lab.disk('other');
      const wrong = await startTarget(host.lab, `e10.3=${other}`);
      const initiator = await host.start();
      const waiting = runUnhurried('sh', '-c', `echo text >${join(mountPoint, 'file')} && sync -f ${mountPoint}`);
      await eventually('the difference to be told', 20_000, async () =>
        (await host.attachment('e10.3'))?.reason.includes('expected serial'),
      );
      await wrong.end();
      assert.equal(await runUnhurried('cmp', '--bytes=67108864', other, '/dev/zero'), 0);
      await startTarget(host.lab, `e10.3=${disk}`);
      await initiator.logged(new RegExp(`${device} of e10\\.3 is connected again`));
      assert.equal(await waiting, 0);
      execFileSync('umount', [mountPoint]);
      await host.detach('e10.3');
    }),
  120_000,
);

kernelCase(
  'force ends a mounted device whose target is gone for good, and the umount that waits for it',
  async () =>
    KernelNbd.use(async (host) => {
      const vblade = await host.lab.vblade('e10.3', host.lab.disk());
      await host.start();
      const device = await host.attach('e10.3');
      const mountPoint = host.mountNew(device);
      await vblade.end('SIGKILL');
      // In a process of its own: even this may have to read from the disk first.
      const unmounting = runUnhurried('sh', '-c', 'echo text > "$1/file"; umount "$1"', 'sh', mountPoint);
      await eventually('held requests', 20_000, async () => ((await host.attachment('e10.3'))?.requestsInFlight ?? 0) > 0);
      await within('force', 20_000, host.detach('e10.3', true));
      await within('umount', 20_000, unmounting);
      execFileSync('sh', ['-c', `grep -q "^${device} " /proc/mounts && umount ${device} || true`]);
      await eventually('the device to go', 10_000, () => attributeOf(device, 'backend') === undefined);
    }),
  90_000,
);

kernelCase(
  'a device that was disconnected while no initiator ran is forgotten, and its volume is attached anew',
  async () =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      await host.start();
      const device = await host.attach('e10.3');
      await kill(host.initiator, 'SIGKILL');
      const index = Number(device.slice('/dev/nbd'.length));
      const control = NbdControl.open();
      control.disconnect(index);
      control.close();
      await eventually('the device to go', 10_000, () => attributeOf(device, 'backend') === undefined);
      const initiator = await host.start();
      await initiator.logged(/e10\.3 was attached by an earlier initiator, but its device has been disconnected/);
      await host.attach('e10.3');
      await host.detach('e10.3');
    }),
  60_000,
);

kernelCase(
  'a device that an initiator was about to set when it was killed, or was letting grow, is set by the next one',
  async () =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      await host.start();
      const device = await host.attach('e10.3');
      await kill(host.initiator, 'SIGKILL');
      const control = NbdControl.open();
      const which = { index: Number(device.slice('/dev/nbd'.length)), identifier: attributeOf(device, 'backend') ?? '' };
      control.reconfigure({ ...which, timeoutSeconds: 10, deadConnectionSeconds: GIVEN_UP_MS / 2_000 });
      control.close();
      writeFileSync(join('/sys/block', basename(device), 'queue/scheduler'), 'mq-deadline');
      await host.start();
      await host.connected('e10.3');
      const set = (): unknown[] => ['queue/io_timeout', 'queue/scheduler'].map((name) => attributeOf(device, name));
      await eventually('the device to be set', 20_000, () => String(set()) === '1000,[none] mq-deadline');

      // Nor is a write given up.
      await kill(host.initiator, 'SIGKILL');
      const writing = runUnhurried('dd', 'if=/dev/zero', `of=${device}`, 'bs=4k', 'count=1', 'oflag=direct');
      await sleep(GIVEN_UP_MS);
      await host.start();
      assert.equal(await writing, 0);
      await host.detach('e10.3');
    }),
  60_000,
);
