import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JOB_FILE, type GuestEvent, type Job } from '../protocol.ts';
import { measureSpeed } from '../speed.ts';
import { GuestRun } from './guest-run.ts';
import { provideInitramfs } from './initramfs.ts';
import type { Kernel } from './kernels.ts';
import { lanesOf } from './lanes.ts';
import { Machine } from './machine.ts';
import { programsFor } from './programs.ts';
import type { Report } from './report.ts';

export const MEMORY_MIB = 4096;
const SECOND_STAGE = 'test/kernel/guest/second-stage.sh';
/** Variables of this name reach the cases. */
const PASSED_ON = /^AOE_CSI_(?:KERNEL|TEST)_/;

/** Runs the files in so many guests at a time, or fewer. */
export async function runSuite(kernel: Kernel, files: readonly string[], guests: number, report: Report): Promise<void> {
  const hostSpeed = measureSpeed();
  const given = Object.entries(process.env).filter((entry): entry is [string, string] => PASSED_ON.test(entry[0]));
  const environment = { ...programsFor(files), ...Object.fromEntries(given) };
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGTERM', end);
  const job = { hostSpeed, environment };
  await Promise.all(lanesOf(files, guests).map(async (lane) => runLane(kernel, { ...job, files: lane }, report, stop.signal)));
  process.off('SIGTERM', end);
}

/** Runs a job in one guest; where that is lost or stuck, what is left of it in another one. */
async function runLane(kernel: Kernel, job: Job, report: Report, stop: AbortSignal): Promise<void> {
  let left = job.files;
  let isSecondTry = false;
  while (left.length > 0 && !stop.aborted) {
    const tell = (event: GuestEvent): void => {
      if (isOfNoFile(event) && !isSecondTry) report.note(`The guest did not start, and is tried once more: ${event.reason}`);
      else report.take(event);
    };
    const finished = await runGuest(kernel, { ...job, files: left }, tell, stop);
    if (finished.size === 0 && isSecondTry) break;
    isSecondTry = finished.size === 0;
    left = left.filter((file) => !finished.has(file));
  }
}

/** An emulated machine on a busy one may fail to start, which says nothing of what is tested. */
function isOfNoFile(event: GuestEvent): event is GuestEvent & { readonly type: 'result' } {
  return event.type === 'result' && event.file === '';
}

/** Runs one guest to its end; which files need no other. */
async function runGuest(
  kernel: Kernel,
  job: Job,
  tell: (event: GuestEvent) => void,
  stop: AbortSignal,
): Promise<ReadonlySet<string>> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-kernel-'));
  try {
    writeFileSync(join(folder, JOB_FILE), JSON.stringify(job));
    const initramfs = provideInitramfs(kernel);
    const machine = new Machine({ kernel, initramfs, folder, memoryMib: MEMORY_MIB, secondStage: SECOND_STAGE });
    const end = (): void => void machine.kill();
    const run = new GuestRun(machine, folder, tell);
    stop.addEventListener('abort', end);
    const finished = await run.follow();
    stop.removeEventListener('abort', end);
    return finished;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
