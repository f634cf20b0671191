import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { nbdDevices } from '../../../src/initiator/attach/nbd-sysfs.ts';
import { DEMO_MS, endedDemo, lifeOf, stepsIn, tracesOf } from '../../support/demo-process.ts';
import { MAIN } from '../../support/program.ts';
import { kernelCase } from '../guest/cases.ts';

/** `aoe-csi demo` where volumes become devices of the kernel's NBD driver: it grows them in use, and removes them, whatever happens. */

const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';

kernelCase(
  'a demo removes what one has left that was killed with its initiator, lives a whole life and leaves nothing',
  async ({ figure }) => {
    const { pid, out: said } = await endedDemo('target: killed', 'SIGKILL');
    const initiators = initiatorsOf(pid);
    assert.equal(initiators.length, 1, said);
    for (const each of initiators) process.kill(each, 'SIGKILL');
    assert.equal(nbdDevices().length, 1);
    assert.ok(tracesOf(pid).length > 4);

    const startedMs = performance.now();
    const { code, out, own } = await demo('--size', '16', '--target', 'vblade');
    assert.equal(code, 0, out);
    assert.match(out, new RegExp(`removing what demo ${String(pid)}, which was killed, has left`));
    assert.doesNotMatch(out, /could not remove/);
    assert.match(out, /attach backend nbd was chosen/);
    assert.match(out, /result +every byte is as it was written/);
    assert.deepEqual(stepsIn(out), lifeOf(true));
    assert.deepEqual([tracesOf(pid), tracesOf(own), initiatorsOf(pid), initiatorsOf(own), nbdDevices()], [[], [], [], [], []]);
    figure(`a demo on ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}: ${seconds(startedMs)}`);
  },
  2 * DEMO_MS,
);

if (IS_SOAK) {
  for (const text of ['NodeStageVolume', 'target: killed']) {
    kernelCase(
      `a demo removes everything when it is interrupted after ${text}`,
      async () => {
        const { pid, code, out } = await endedDemo(text, 'SIGINT');
        assert.equal(code, 130, out);
        assert.doesNotMatch(out, /could not remove/);
        assert.deepEqual([tracesOf(pid), initiatorsOf(pid), nbdDevices()], [[], [], []]);
      },
      DEMO_MS,
    );
  }
}

async function demo(...words: string[]): Promise<{ code: number | null; out: string; own: number }> {
  const child = spawn(process.execPath, [MAIN, 'demo', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, own: child.pid ?? 0 };
}

/** Processes of an initiator that a demo has started; they are in no namespace of its own. */
function initiatorsOf(demoPid: number): number[] {
  const socket = `/run/aoe-csi-demo/${String(demoPid)}/`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8').split('\0');
        return words.includes('initiator') && words.some((word) => word.startsWith(socket));
      } catch {
        return false;
      }
    });
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
