import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { DEMO_MS, endedDemo, lifeOf, stepsIn, tracesOf } from '../support/demo-process.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { patiently } from '../support/patience.ts';
import { MAIN } from '../support/program.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** `aoe-csi demo`, with what it leaves behind: nothing. */

const needs = [
  ...[root(), command('ip', 'iproute2'), command('mkfs.ext4', 'e2fsprogs'), command('nbdcopy', 'libnbd-bin')],
  command('vblade'),
];
const LIMIT_MS = patiently(DEMO_MS);

describeIf(needs, 'aoe-csi demo', () => {
  test.each(['aoe-csi', 'vblade'])(
    'verifies every byte and removes everything, with %s as the target',
    async (target) => {
      const { code, out, err } = await aoeCsi('demo', '--size', '32', '--target', target);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain('target: killed while data is being written');
      expect(out).toContain('node plugin: killed while data is being written');
      expect(stepsIn(out)).toEqual(lifeOf(false));
      expect(out).toContain('on the disk before, and finds nothing now');
      expect(out).toMatch(/result +every byte is as it was written/);
      expect(out).toMatch(/frames +\d+ sent, [1-9]\d* of them again/);
    },
    LIMIT_MS,
  );

  test.each([
    ['SIGINT', 'CreateVolume'],
    ['SIGTERM', 'target: killed'],
  ] as const)(
    'removes everything when it is ended by %s after %s',
    async (signal, text) => {
      const { pid, code, out } = await endedDemo(text, signal);
      expect([code, out.split('\n').filter((line) => line.includes('could not'))]).toEqual([130, []]);
      expect(tracesOf(pid)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'removes what a demo has left that was killed',
    async () => {
      const { pid } = await endedDemo('target: killed', 'SIGKILL');
      expect(tracesOf(pid).length).toBeGreaterThan(4);
      const { code, out } = await aoeCsi('demo', '--size', '16');
      expect(out).toContain(`removing what demo ${pid}, which was killed, has left`);
      expect([code, tracesOf(pid)]).toEqual([0, []]);
    },
    LIMIT_MS,
  );

  test(
    'does without a file system, and says so, when nbdfuse is missing',
    () => {
      // In a mount namespace of its own, where the program is no program.
      const hidden = 'mount --bind /dev/null "$(command -v nbdfuse)" && exec "$@"';
      const demo = [process.execPath, MAIN, 'demo', '--size', '10'];
      const { status, stdout } = spawnSync('unshare', ['--mount', 'sh', '-c', hidden, 'sh', ...demo], { encoding: 'utf8' });
      expect(stdout).toContain("fuse can't be used: nbdfuse is missing");
      expect(stdout).toContain('no file system in this demo, nbdcopy instead');
      expect(stdout).toMatch(/result +every byte is as it was written/);
      expect(status).toBe(0);
    },
    LIMIT_MS,
  );

  test('says what it needs when it is not root', () => {
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    // To read the program, wherever it lies.
    const reading = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
    const { status, stderr } = spawnSync('setpriv', [...nobody, ...reading, process.execPath, MAIN, 'demo'], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([1, expect.stringContaining('run it as root, for example with sudo')]);
  });
});
