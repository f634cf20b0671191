import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RESERVE_FORCE_SET } from '../../../src/aoe/constants.ts';
import { MIB, SAN } from '../../support/faults-laboratory.ts';
import { eventually } from '../../support/faults-process.ts';
import { attributeOf, kill, KernelNbd, runUnhurried } from '../../support/kernel-nbd.ts';
import { TargetProber } from '../../support/target-prober-client.ts';
import { startTarget } from '../../support/target-process.ts';
import { kernelCase } from '../guest/cases.ts';

/** What is different when an initiator comes to the devices of the one before: the installation, the target's size or owner. */

/** Another node. */
const STRANGER = 0x02_00_00_00_99_01;

const HELD_MS = 5_000;
const DEAD_SECONDS = 5;
const SECTORS_PER_MIB = 2_048;

kernelCase(
  'a device that is mounted when everything but the run directory is removed holds its I/O, and the next install takes it up',
  async () =>
    KernelNbd.use(async (host) => {
      await startTarget(host.lab, `e10.3=${host.lab.disk()}`);
      const first = await host.start();
      const device = await host.attach('e10.3');
      const mountPoint = host.mountNew(device);
      execFileSync('sh', ['-c', `echo before >${join(mountPoint, 'before')} && sync`]);
      const [runDirectory, identifier] = [dirname(first.socketPath), attributeOf(device, 'backend')];
      await kill(first, 'SIGTERM');
      assert.match(first.log.join('\n'), new RegExp(`${device} of e10\\.3 stays, and holds its I/O`));

      rmSync(first.etherd, { recursive: true });
      assert.equal(existsSync(first.socketPath), false);
      const kept = readdirSync(join(runDirectory, 'kernel'));
      assert.deepEqual(kept, ['e10.3.json']);
      let ended = false;
      const writing = runUnhurried('dd', 'if=/dev/zero', `of=${join(mountPoint, 'held')}`, 'bs=1M', 'count=8', 'conv=fsync');
      void writing.then(() => {
        ended = true;
      });
      await sleep(HELD_MS);
      assert.equal(ended, false);
      assert.notEqual(spawnSync('modprobe', ['--remove', 'nbd']).status, 0);
      assert.equal(attributeOf(device, 'backend'), identifier);

      // Another name, another socket, another backend for what comes: only the run directory is the same.
      const words = ['--interfaces', SAN, '--attach', 'nbd-socket', '--run-directory', runDirectory];
      const second = await host.launch('reinstalled', words).ready();
      await second.logged(new RegExp(`${device} of e10\\.3 was left by an earlier initiator and is taken up again`));
      assert.equal(await writing, 0);
      assert.equal(readlinkSync(join(second.etherd, 'e10.3')), device);
      assert.equal(readFileSync(join(mountPoint, 'before'), 'utf8'), 'before\n');
      assert.equal(await runUnhurried('umount', mountPoint), 0);
      assert.equal(await runUnhurried('e2fsck', '-fn', device), 0);
      await second.must('detach', 'e10.3');
      assert.equal(attributeOf(device, 'backend'), undefined);
      await kill(second, 'SIGTERM');
    }),
  120_000,
);

kernelCase(
  'a target that has shrunk while no initiator ran gets no I/O, says why, and goes on when it is large again; one that has grown goes on',
  async () =>
    KernelNbd.use(async (host) => {
      const disk = host.lab.disk();
      await startTarget(host.lab, `e10.3=${disk}`);
      await host.start();
      const device = await host.attach('e10.3');
      const write = async (): Promise<number | null> =>
        runUnhurried('dd', 'if=/dev/urandom', `of=${device}`, 'bs=4096', 'count=16', 'oflag=direct', 'conv=fsync');
      assert.equal(await write(), 0);
      await kill(host.initiator, 'SIGKILL');

      truncateSync(disk, 32 * MIB);
      const before = readFileSync(disk);
      const second = await host.start();
      const writing = write();
      await eventually('the difference to be told', 30_000, async () => {
        const reason = (await host.attachment('e10.3'))?.reason ?? '';
        return reason.includes(`shrank from ${String(64 * SECTORS_PER_MIB)} to ${String(32 * SECTORS_PER_MIB)} sectors`);
      });
      assert.ok(readFileSync(disk).equals(before));
      truncateSync(disk, 64 * MIB);
      await second.logged(new RegExp(`${device} of e10\\.3 is connected again`));
      assert.equal(await writing, 0);
      assert.ok(
        !readFileSync(disk)
          .subarray(0, 32 * MIB)
          .equals(before),
      );

      await kill(second, 'SIGKILL');
      truncateSync(disk, 96 * MIB);
      await host.start();
      await host.connected('e10.3');
      assert.equal(attributeOf(device, 'size'), String(64 * SECTORS_PER_MIB));
      assert.equal((await host.grow('e10.3')).sectors, 96 * SECTORS_PER_MIB);
      assert.equal(attributeOf(device, 'size'), String(96 * SECTORS_PER_MIB));
      await host.detach('e10.3');
    }),
  120_000,
);

kernelCase(
  'a device whose target another node has reserved fails its I/O, also for the initiators that take it up later, and can be taken away',
  async () =>
    KernelNbd.use(async (host) => {
      await startTarget(host.lab, `e10.3=${host.lab.disk()}`);
      await host.start();
      const device = await host.attach('e10.3');
      const write = async (): Promise<number | null> =>
        runUnhurried('dd', 'if=/dev/urandom', `of=${device}`, 'bs=4096', 'count=16', 'oflag=direct', 'conv=fsync');
      const isRefused = async (): Promise<void> => {
        assert.equal(await write(), 1);
        assert.equal((await host.attachment('e10.3'))?.state, 'fenced');
      };
      assert.equal(await write(), 0);
      const prober = await new TargetProber(host.lab.script('target-prober', host.lab.initiator, [SAN])).ready();
      assert.equal((await prober.reserve(RESERVE_FORCE_SET, [STRANGER], { source: STRANGER })).aoeError, 0);
      await isRefused();

      await kill(host.initiator, 'SIGKILL');
      await host.start();
      await isRefused();

      await host.replace();
      await isRefused();
      await host.detach('e10.3');
      assert.equal(attributeOf(device, 'backend'), undefined);
    }),
  120_000,
);

kernelCase(
  'a device whose target is silent for deadSeconds fails its I/O, also where an initiator has taken it up meanwhile, until it is back',
  async () =>
    KernelNbd.use(async (host) => {
      const disk = host.lab.disk();
      const target = await startTarget(host.lab, `e10.3=${disk}`);
      await host.start();
      const device = await host.attach('e10.3', DEAD_SECONDS);
      const read = async (): Promise<number | null> =>
        runUnhurried('dd', `if=${device}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct');
      assert.equal(await read(), 0);

      await target.end('SIGKILL');
      await kill(host.initiator, 'SIGKILL');
      await host.start();
      assert.equal(await read(), 1);
      const found = await host.attachment('e10.3');
      assert.deepEqual([found?.state, found?.device], ['down', device]);

      await startTarget(host.lab, `e10.3=${disk}`);
      await host.connected('e10.3');
      assert.equal(await read(), 0);
      await host.detach('e10.3');
      assert.equal(attributeOf(device, 'backend'), undefined);
    }),
  120_000,
);
