import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FuseBackend } from '../initiator/attach/fuse.ts';
import { isMountPoint } from '../system/mounts.ts';
import { identifyProcess } from '../system/process-identity.ts';
import { waitUntil } from '../system/waiting.ts';
import { DISK_PLACES } from './disk.ts';
import { aoeCsi, TARGET_NAME } from './commands.ts';
import { unmountForSure } from './mounts.ts';
import { processesOf, removeNetwork } from './network.ts';
import type { DemoRun } from './run.ts';

const END_MS = 5_000;

/**
 * Removes everything that a run has made, however far it came and whatever state it is in: after a good end, after Ctrl-C, or
 * after its process was killed.
 * @returns what could not be removed, a sentence each
 */
export async function cleanUp(run: DemoRun): Promise<string[]> {
  const failures: string[] = [];
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => failures.push((error as Error).message));
  };
  if (isMountPoint(run.mountPoint)) {
    // I/O that waits for a target would keep the unmount waiting: let it fail.
    if (existsSync(run.socketPath))
      await aoeCsi(run, ['detach', TARGET_NAME, '--force', '--timeout', '10']).catch(() => undefined);
    await attempt(async () => unmountForSure(run.mountPoint));
  }
  await attempt(async () => endProcesses(run));
  const fuse = join(run.runDirectory, 'fuse');
  if (existsSync(fuse)) await attempt(async () => new FuseBackend(fuse, () => undefined).removeLeftovers());
  await attempt(async () => removeNetwork(run));
  for (const place of DISK_PLACES) rmSync(join(place, run.diskFolderName), { recursive: true, force: true });
  await attempt(async () => unmountForSure(run.folder));
  if (failures.length === 0) run.end();
  return failures;
}

/** The initiator first, in order, so that it takes its devices away; then whatever is still there. */
async function endProcesses(run: DemoRun): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const pids = await processesOf(run);
    for (const pid of pids) endProcess(pid, signal);
    if (await waitUntil(() => pids.every((pid) => identifyProcess(pid) === undefined), END_MS)) return;
  }
}

function endProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended in this moment.
  }
}
