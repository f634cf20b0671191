import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FuseBackend } from '../initiator/attach/fuse.ts';
import { listMounts } from '../system/mounts.ts';
import { identifyProcess } from '../system/process-identity.ts';
import { waitUntil } from '../system/waiting.ts';
import { DISK_PLACES } from './disk.ts';
import { aoeCsi, TARGET_NAME } from './commands.ts';
import { unmountBelow, unmountForSure } from './mounts.ts';
import { namespacesOf, processesIn, removeNetwork } from './network.ts';
import type { DemoRun } from './run.ts';

type Ending = 'SIGTERM' | 'SIGKILL';
const KILL: readonly Ending[] = ['SIGKILL'];
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
  // First the node plugin, which could be about to mount something: it may be killed at any time.
  await attempt(async () => endProcesses([run.pluginNamespace], KILL, 0));
  // I/O that waits for a target would keep the unmount waiting: let it fail.
  if (isInUse(run)) await aoeCsi(run, ['detach', TARGET_NAME, '--force', '--timeout', '10']).catch(() => undefined);
  await attempt(async () => endProcesses([run.pluginNamespace], KILL, END_MS));
  await attempt(async () => unmountBelow(run.kubeletFolder));
  // The initiator in order, so that it takes its devices away.
  await attempt(async () => endProcesses(namespacesOf(run), ['SIGTERM', ...KILL], END_MS));
  const fuse = join(run.runDirectory, 'fuse');
  if (existsSync(fuse)) await attempt(async () => new FuseBackend(fuse, () => undefined).removeLeftovers());
  await attempt(async () => removeNetwork(run));
  for (const place of DISK_PLACES) rmSync(join(place, run.diskFolderName), { recursive: true, force: true });
  await attempt(async () => unmountForSure(run.folder));
  if (failures.length === 0) run.end();
  return failures;
}

/** Whether the initiator has a device that something is mounted from, or that a mount was about to be made from. */
function isInUse(run: DemoRun): boolean {
  if (!existsSync(run.socketPath)) return false;
  const isStaged = existsSync(run.stateDirectory) && readdirSync(run.stateDirectory).length > 0;
  return isStaged || listMounts().some(({ mountPoint }) => mountPoint.startsWith(`${run.kubeletFolder}/`));
}

/** Sends the signals, one after the other, until no process is left in these namespaces. */
async function endProcesses(names: readonly string[], signals: readonly Ending[], waitMs: number): Promise<void> {
  for (const signal of signals) {
    const pids = await processesIn(names);
    for (const pid of pids) endProcess(pid, signal);
    if (await waitUntil(() => pids.every((pid) => identifyProcess(pid) === undefined), waitMs)) return;
  }
}

function endProcess(pid: number, signal: Ending): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended in this moment.
  }
}
