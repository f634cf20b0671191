import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { listMounts } from '../../src/system/mounts.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';
import { eventually } from '../support/faults-process.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** `aoe-csi demo`, with what it leaves behind: nothing. */

const needs = [
  ...[root(), command('ip', 'iproute2'), command('mkfs.ext4', 'e2fsprogs'), command('nbdcopy', 'libnbd-bin')],
  command('vblade'),
];
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const DEMO_MS = patiently(60_000);

const FROM_POD = ['NodeUnpublishVolume', 'NodeUnstageVolume', 'ControllerUnpublishVolume'];
const TO_POD = ['ControllerPublishVolume', 'NodeStageVolume', 'NodePublishVolume', 'NodeGetVolumeStats'];
/** What the demo has to tell of. */
const LIFE = [
  ...['CreateVolume', ...TO_POD, 'ControllerExpandVolume', 'NodeExpandVolume', ...FROM_POD],
  ...[...TO_POD, ...FROM_POD, 'DeleteVolume', 'e10.3: Released', 'e10.3: Wiping', 'e10.3: Available'],
];

/** The calls of CSI in what a demo has said, and what became of the target; what is told twice in a row once. */
function stepsIn(out: string): string[] {
  const steps = [...out.matchAll(/\] ([A-Z]\w+Volume\w*|e10\.3: [A-Z]\w+)\b/g)].map(([, step]) => step);
  return steps.filter((step, index) => step !== steps[index - 1]);
}

/** Everything on this machine that belongs to the demo of this process. */
function tracesOf(pid: number): string[] {
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
  const loops = readdirSync('/sys/block').map((name) => `/sys/block/${name}/loop/backing_file`);
  return [
    ...namespaces.filter((name) => name.includes(`aoe-demo-${pid}-`)),
    ...listMounts().flatMap(({ mountPoint }) => (mountPoint.includes(`/aoe-csi-demo/${pid}`) ? [mountPoint] : [])),
    ...loops.filter((path) => existsSync(path) && readFileSync(path, 'utf8').includes(`/aoe-csi-demo/${pid}/`)),
    ...[`/run/aoe-csi-demo/${pid}`, `/run/aoe-csi-demo/${pid}.json`, `/dev/shm/aoe-demo-${pid}`].filter(existsSync),
  ];
}

/** Starts a demo, and ends it with `signal` when it has said `text`. */
async function endedDemo(
  text: string,
  signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL',
): Promise<{ pid: number; code: number | null; out: string }> {
  const child = spawn(process.execPath, [MAIN, 'demo', '--size', '32'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((done) => child.once('close', done));
  await eventually(`the demo to say ${text}`, DEMO_MS, () => out.includes(text) || child.exitCode !== null);
  child.kill(signal);
  // The daemons of a killed demo keep its pipes open.
  // Its writes may still wait for the target that it had killed, and with them its exit status.
  if (signal === 'SIGKILL') await eventually('its end', patiently(5_000), () => identifyProcess(child.pid!) === undefined);
  return { pid: child.pid!, code: signal === 'SIGKILL' ? null : await ended, out };
}

describeIf(needs, 'aoe-csi demo', () => {
  test.each(['aoe-csi', 'vblade'])(
    'verifies every byte and removes everything, with %s as the target',
    async (target) => {
      const { code, out, err } = await aoeCsi('demo', '--size', '32', '--target', target);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain('target: killed while data is being written');
      expect(out).toContain('node plugin: killed while data is being written');
      expect(stepsIn(out)).toEqual(LIFE);
      expect(out).toContain('on the disk before, and finds nothing now');
      expect(out).toMatch(/result +every byte is as it was written/);
      expect(out).toMatch(/frames +\d+ sent, [1-9]\d* of them again/);
    },
    DEMO_MS,
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
    DEMO_MS,
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
    DEMO_MS,
  );

  test(
    'does without a file system, and says so, when nbdfuse is missing',
    () => {
      // In a mount namespace of its own, where the program is no program.
      const hidden = 'mount --bind /dev/null "$(command -v nbdfuse)" && exec "$@"';
      const demo = [process.execPath, MAIN, 'demo', '--size', '10'];
      const { status, stdout } = spawnSync('unshare', ['--mount', 'sh', '-c', hidden, 'sh', ...demo], { encoding: 'utf8' });
      expect(stdout).toContain('no file system in this demo, nbdcopy instead: nbdfuse is missing');
      expect(stdout).toMatch(/result +every byte is as it was written/);
      expect(status).toBe(0);
    },
    DEMO_MS,
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
