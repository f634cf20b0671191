import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JOB_FILE, type Job } from '../protocol.ts';
import { measureSpeed } from '../speed.ts';
import { GuestRun } from './guest-run.ts';
import { provideInitramfs } from './initramfs.ts';
import type { Kernel } from './kernels.ts';
import { Machine } from './machine.ts';
import { programsFor } from './programs.ts';
import type { Report } from './report.ts';

/** Variables of this name reach the cases. */
const PASSED_ON = /^AOE_CSI_(?:KERNEL|TEST)_/;

/** Runs the files in one guest; where that is lost or stuck, what is left in another one. */
export async function runSuite(kernel: Kernel, files: readonly string[], report: Report): Promise<void> {
  const hostSpeed = measureSpeed();
  const given = Object.entries(process.env).filter((entry): entry is [string, string] => PASSED_ON.test(entry[0]));
  const environment = { ...programsFor(files), ...Object.fromEntries(given) };
  let left = files;
  while (left.length > 0) {
    const finished = await runGuest(kernel, { files: left, hostSpeed, environment }, report);
    left = left.filter((file) => !finished.has(file));
  }
}

/** Runs one guest to its end; which files need no other. */
async function runGuest(kernel: Kernel, job: Job, report: Report): Promise<ReadonlySet<string>> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-kernel-'));
  try {
    writeFileSync(join(folder, JOB_FILE), JSON.stringify(job));
    const machine = new Machine(kernel, provideInitramfs(kernel), folder);
    const end = (): void => void machine.kill();
    const run = new GuestRun(machine, folder, (event) => report.take(event));
    process.once('SIGTERM', end);
    const finished = await run.follow();
    process.off('SIGTERM', end);
    // A guest that never came to a file would be started again and again.
    return finished.size > 0 ? finished : new Set(job.files);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
