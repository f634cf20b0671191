import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { runProgram } from '../support/faults-clients.ts';
import { SAN, type Laboratory } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { isBound, mountsBelow, withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { command, describeIf, device, root } from '../support/requires.ts';
import { startTarget } from '../support/target-process.ts';

/** Volumes as loop devices: nbdfuse, losetup, ext4, and what is left when somebody is killed. */

const needs = [
  ...[root(), command('ip', 'iproute2'), command('vblade'), command('mkfs.ext4', 'e2fsprogs')],
  ...[command('nbdfuse', 'libnbd-bin'), device('/dev/fuse'), device('/dev/loop-control')],
];
const BY_FUSE = ['--interfaces', SAN, '--attach', 'fuse'];
const CONTENT = randomBytes(8 * 1024 * 1024);

function run(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function mountPointIn(lab: Laboratory): string {
  const path = join(lab.folder, 'mnt');
  mkdirSync(path, { recursive: true });
  return path;
}

function mountNew(lab: Laboratory, path: string): string {
  const mountPoint = mountPointIn(lab);
  run('mkfs.ext4', '-q', path);
  run('mount', path, mountPoint);
  return mountPoint;
}

function nbdfusePids(lab: Laboratory): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => commandLine(pid).startsWith('nbdfuse') || commandLine(pid).includes('/nbdfuse\0'))
    .filter((pid) => commandLine(pid).includes(lab.folder));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

async function attached(initiator: InitiatorProcess): Promise<string> {
  const path = await initiator.must('attach', 'e10.3');
  expect(path).toMatch(/^\/dev\/loop\d+$/);
  return path;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describeIf(needs, 'aoe-csi attach and detach, fuse', () => {
  test.each(['vblade', 'aoe-csi target'])(
    'a file system lives on a volume, is taken away and comes back, served by %s',
    async (kind) =>
      withInitiators(async ({ lab, initiate }) => {
        lab.wire(9000);
        if (kind === 'vblade') await lab.vblade('e10.3', lab.disk());
        else await startTarget(lab, `e10.3=${lab.disk()}`);
        const initiator = await initiate(...BY_FUSE);
        const first = await attached(initiator);
        expect(run('blockdev', '--getss', '--getsize64', '--getro', first).trim().split('\n')).toEqual([
          '512',
          String(64 << 20),
          '0',
        ]);
        const mountPoint = mountNew(lab, first);
        writeFileSync(join(mountPoint, 'file'), CONTENT, { flush: true });

        const refused = await initiator.run('detach', 'e10.3');
        expect(refused.code).toBe(5);
        expect(refused.err).toContain(`e10.3 can't be detached: ${first} is in use (mounted at ${mountPoint})`);
        run('umount', mountPoint);
        await initiator.must('detach', 'e10.3');
        expect([isBound(lab, first), nbdfusePids(lab), mountsBelow(join(lab.folder, 'i'))]).toEqual([false, [], []]);

        const second = await attached(initiator);
        run('mount', second, mountPoint);
        expect(hashOf(readFileSync(join(mountPoint, 'file')))).toBe(hashOf(CONTENT));
        run('umount', mountPoint);
        expect((await runProgram('e2fsck', '-fn', second)).code).toBe(0);
        await initiator.must('detach', 'e10.3');
      }),
  );

  test('a process that has the device open is named', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate(...BY_FUSE);
      const path = await attached(initiator);
      const fd = openSync(path, 'r');
      const reader = spawn('sleep', ['60'], { stdio: [fd, 'ignore', 'ignore'] });
      closeSync(fd);
      const ended = once(reader, 'exit');
      try {
        const { code, err } = await initiator.run('detach', 'e10.3');
        expect([code, err]).toEqual([
          5,
          expect.stringContaining(`${path} is in use (open in process ${String(reader.pid)} (sleep))`),
        ]);
      } finally {
        reader.kill('SIGKILL');
      }
      await ended;
      await initiator.must('detach', 'e10.3');
    }));

  test('a read-only volume is a read-only device', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate(...BY_FUSE);
      const path = await initiator.must('attach', 'e10.3', '--read-only');
      expect(run('blockdev', '--getro', path).trim()).toBe('1');
      await initiator.must('detach', 'e10.3');
    }));

  test('what a killed initiator has left is removed by the next one', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate(...BY_FUSE);
      const path = await attached(first);
      await first.process.end('SIGKILL');
      expect([isBound(lab, path), nbdfusePids(lab).length]).toEqual([true, 1]);
      const second = await launch('i', BY_FUSE).ready();
      expect(second.log.join('\n')).toContain(
        'e10.3 was attached by an initiator that has been killed; its device has been taken away',
      );
      expect([isBound(lab, path), nbdfusePids(lab), mountsBelow(join(lab.folder, 'i'))]).toEqual([false, [], []]);
      await attached(second);
      await second.must('detach', 'e10.3');
    }));

  test('what a killed initiator has left and is still mounted is named, fails, and goes with the umount', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate(...BY_FUSE);
      const path = await attached(first);
      const mountPoint = mountNew(lab, path);
      await first.process.end('SIGKILL');
      const second = await launch('i', BY_FUSE).ready();
      expect(second.log.join('\n')).toContain(`but ${path} is still mounted at ${mountPoint}: end that, and it goes too`);
      expect(nbdfusePids(lab)).toEqual([]);
      // A new device for the same volume does not wait for the old one.
      const other = await attached(second);
      expect(other).not.toBe(path);
      run('umount', mountPoint);
      await eventually('the old device to go', 3_000, () => !isBound(lab, path));
      run('mount', other, mountPoint);
      run('umount', mountPoint);
      await second.must('detach', 'e10.3');
    }));

  test('SIGTERM takes away what nobody uses, and names what somebody does', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      await lab.vblade('e10.4', lab.disk('other'));
      const initiator = await initiate(...BY_FUSE);
      const used = await attached(initiator);
      const unused = await initiator.must('attach', 'e10.4');
      const mountPoint = mountNew(lab, used);
      initiator.process.signal('SIGTERM');
      expect(await initiator.end()).toBe(0);
      expect([isBound(lab, used), isBound(lab, unused)]).toEqual([true, false]);
      expect(initiator.log.join('\n')).toMatch(
        /e10\.3 can't be detached: .* is in use \(mounted at .*: its I\/O fails from now on/,
      );
      run('umount', mountPoint);
      await launch('i', BY_FUSE).ready();
      expect([isBound(lab, used), nbdfusePids(lab)]).toEqual([false, []]);
    }));

  test('force takes a mounted volume away while its target is gone', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate(...BY_FUSE);
      const path = await attached(initiator);
      const mountPoint = mountNew(lab, path);
      await vblade.end('SIGKILL');
      const writing = runProgram('dd', 'if=/dev/zero', `of=${join(mountPoint, 'file')}`, 'bs=1M', 'count=4', 'conv=fsync');
      await eventually('held requests', 5_000, async () => ((await initiator.stat()).attachments[0]?.requestsInFlight ?? 0) > 0);
      expect((await initiator.run('detach', 'e10.3')).code).toBe(5);
      expect((await initiator.run('detach', 'e10.3', '--force')).code).toBe(0);
      expect((await writing).text).toMatch(/Input\/output error|Read-only file system/);
      run('umount', mountPoint);
      await eventually('the device to go', 3_000, () => !isBound(lab, path));
      expect([nbdfusePids(lab), (await initiator.stat()).attachments]).toEqual([[], []]);
    }));

  test('an nbdfuse that has been killed is an event, and force repairs it', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate(...BY_FUSE);
      const path = await attached(initiator);
      for (const pid of nbdfusePids(lab)) process.kill(pid, 'SIGKILL');
      await initiator.logged(
        /nbdfuse of e10\.3 has ended \(SIGKILL\): I\/O to .* fails; detach e10\.3 with force and attach it again/,
      );
      expect((await initiator.run('detach', 'e10.3', '--force')).code).toBe(0);
      expect(isBound(lab, path)).toBe(false);
      await attached(initiator);
      await initiator.must('detach', 'e10.3');
    }));

  test("where /dev/fuse can't be used, auto takes the socket and says why, and fuse is refused with what to do", async () =>
    withInitiators(async ({ lab, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const hide = 'mount --bind /dev/fuse /dev/fuse && mount -o remount,bind,nodev /dev/fuse && exec "$@"';
      const without = ['unshare', '--mount', 'sh', '-c', hide, 'sh'];
      const strict = launch('i', BY_FUSE, without);
      expect(await strict.end()).toBe(1);
      expect(strict.log.join(' ')).toMatch(
        /backend fuse can't be used: \/dev\/fuse can't be opened \(EACCES\); run as root, modprobe fuse/,
      );
      const lenient = await launch('j', ['--interfaces', SAN], without).ready();
      expect(lenient.log.join('\n')).toMatch(/attach backend nbd-socket was chosen; .*fuse can't be used: \/dev\/fuse/);
      expect(await lenient.json('stat', '--counters')).toMatchObject({
        backend: 'nbd-socket',
        backendNote: expect.stringMatching(/fuse can't be used: \/dev\/fuse/),
      });
      const outcome = await lenient.run('attach', 'e10.3');
      expect([outcome.code, outcome.out, outcome.err]).toEqual([
        0,
        expect.stringMatching(/e10\.3\.sock$/),
        expect.stringContaining('modprobe fuse'),
      ]);
      expect((await lenient.run('attach', 'e10.4', '--attach', 'fuse')).code).toBe(1);
    }));
});
