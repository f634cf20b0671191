import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { kernelCase } from '../guest/cases.ts';
import { MAIN } from '../../support/program.ts';

/** What a process may do to protect itself where it has all rights; what happens without them is seen everywhere else. */

const SCENARIOS = fileURLToPath(new URL('../../support/system-protected.js', import.meta.url));
/** PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (kernel: include/linux/sched.h), in field 9 of /proc/pid/stat. */
const IO_FLUSHER = 0x180000;

kernelCase('a program started anew by an I/O flusher has no thread that is none', () => {
  const seen = execFileSync(process.execPath, [SCENARIOS, 'io flusher again'], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(seen), { threads: true, others: [] });
});

kernelCase('all threads of an initiator are I/O flushers, and the kernel ends others before it', async () => {
  const folder = mkdtempSync('/run/aoe-csi-');
  const words = ['initiator', '--socket', `${folder}/initiator.sock`, '--attach', 'nbd-socket', '--etherd-directory', 'none'];
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const log: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      log.push(line);
      // The data-path thread says this when it runs, the control thread the other: whichever is last.
      if (/no AoE frame is sent/.test(log.join()) && /the initiator runs/.test(log.join())) break;
    }
    assert.deepEqual(
      log.filter((line) => line.includes('"warn"')),
      [],
    );
    const proc = `/proc/${String(child.pid)}`;
    const threads = readdirSync(`${proc}/task`).map((thread) => flagsOf(`${proc}/task/${thread}/stat`));
    assert.ok(threads.length > 6, `${String(threads.length)} threads`);
    assert.deepEqual(
      threads.filter((flags) => (flags & IO_FLUSHER) !== IO_FLUSHER),
      [],
    );
    assert.equal(readFileSync(`${proc}/oom_score_adj`, 'utf8').trim(), '-998');
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

function flagsOf(path: string): number {
  const stat = readFileSync(path, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[9 - 3]);
}
