/**
 * What a kernel guest does once it has started: `main.js FOLDER`. Measures how slow the guest is, then runs the files of the job, each
 * in a process of its own, and tells everything through the folder.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JOB_FILE, type Job } from '../protocol.ts';
import { measureSpeed, slowness } from '../speed.ts';
import { EventLog } from './events.ts';

/** As run-file.ts has it; importing that would run it. */
const EXIT_STUCK = 3;
/** How a process ends that has told everything there is to tell. */
const TOLD_CODES = [0, 1, EXIT_STUCK];
/** The least by which bounds are stretched: machines are shared and noisy (test/support/patience.ts). */
const PATIENCE_MIN = 3;
/** The most: a machine that was busy while it was measured shall not make a test that hangs hold everybody up for an hour. */
const PATIENCE_MAX = 40;

const [folder] = process.argv.slice(2);
const job = JSON.parse(readFileSync(join(folder, JOB_FILE), 'utf8')) as Job;
const events = new EventLog(folder);

/** What `npm run bundle` has made, if it has. */
const bundled = fileURLToPath(new URL('../../../app/main.js', import.meta.url));
const speedFactor = slowness(measureSpeed(), job.hostSpeed);
const environment = {
  ...process.env,
  AOE_CSI_KERNEL_SPEED_FACTOR: speedFactor.toFixed(1),
  // Programs that wait for a device must not keep the others of a test from files.
  UV_THREADPOOL_SIZE: '16',
  AOE_CSI_TEST_PATIENCE: Math.min(PATIENCE_MAX, Math.max(PATIENCE_MIN, speedFactor)).toFixed(1),
  ...(existsSync(bundled) ? { AOE_CSI_TEST_PROGRAM: bundled } : {}),
  ...job.environment,
};
const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
events.write({ type: 'ready', kernel: release(), speedFactor, uptimeMs });

/** Runs one file; whether the guest is fit for another one. */
async function runFile(file: string): Promise<boolean> {
  events.write({ type: 'file', file });
  const startedMs = performance.now();
  const script = fileURLToPath(new URL('./run-file.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder, file], { env: environment, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (code === null || !TOLD_CODES.includes(code)) {
    const reason = `the process of this file ended with ${signal ?? `exit code ${String(code)}`}`;
    events.write({ type: 'result', file, name: 'its process ends well', status: 'failed', durationMs: 0, reason });
  }
  events.write({ type: 'file-end', file, durationMs: Math.round(performance.now() - startedMs) });
  return code !== EXIT_STUCK;
}

/** What hangs, and where in the kernel, on the console. */
function showBlockedTasks(): void {
  writeFileSync('/proc/sysrq-trigger', 'w');
}

let fit = true;
for (const file of job.files) {
  fit = await runFile(file);
  if (!fit) break;
}
if (!fit) showBlockedTasks();
events.write({ type: 'end', stuck: !fit });
