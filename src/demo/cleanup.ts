import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FuseBackend } from '../initiator/attach/fuse.ts';
import { readNbdRecords } from '../initiator/attach/nbd-record.ts';
import { nbdDevices } from '../initiator/attach/nbd-sysfs.ts';
import { NbdControl } from '../system/nbd-control.ts';
import { identifyProcess } from '../system/process-identity.ts';
import { waitUntil } from '../system/waiting.ts';
import { DISK_PLACES } from './disk.ts';
import { aoeCsi, initiatorMark, TARGET_NAME } from './commands.ts';
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
  const plugins = async (): Promise<number[]> => processesIn([run.pluginNamespace]);
  const all = async (): Promise<number[]> => [...(await processesIn(namespacesOf(run))), ...initiatorsOf(run)];
  // First the node plugin, which could be about to mount something: it may be killed at any time.
  await attempt(async () => endProcesses(plugins, KILL, 0));
  // I/O that waits for a target would keep the unmount waiting: let it fail. And devices of the kernel stay when their initiator ends.
  if (existsSync(run.socketPath)) await aoeCsi(run, ['detach', TARGET_NAME, '--force', '--timeout', '10']).catch(() => undefined);
  await attempt(async () => Promise.resolve(removeKernelDevices(join(run.runDirectory, 'kernel'))));
  await attempt(async () => endProcesses(plugins, KILL, END_MS));
  await attempt(async () => unmountBelow(run.kubeletFolder));
  // The initiator in order, so that it takes its devices away.
  await attempt(async () => endProcesses(all, ['SIGTERM', ...KILL], END_MS));
  const fuse = join(run.runDirectory, 'fuse');
  if (existsSync(fuse)) await attempt(async () => new FuseBackend(fuse, () => undefined).removeLeftovers());
  await attempt(async () => removeNetwork(run));
  for (const place of DISK_PLACES) rmSync(join(place, run.diskFolderName), { recursive: true, force: true });
  await attempt(async () => unmountForSure(run.folder));
  if (failures.length === 0) run.end();
  return failures;
}

/** Where the demo's initiator is in this machine's own network, it is known by its command line only. */
function initiatorsOf(run: DemoRun): number[] {
  const mark = initiatorMark(run).join('\0');
  const isInitiator = (pid: string): boolean => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return words.includes(`\0initiator\0`) && words.includes(`\0${mark}\0`);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isInitiator(name))
    .map(Number);
}

/** Devices whose initiator has ended without taking them away: whoever waits for them gets an I/O error. */
function removeKernelDevices(folder: string): void {
  const { records } = existsSync(folder) ? readNbdRecords(folder) : { records: [] };
  const left = nbdDevices().filter(({ identifier }) => records.some((record) => record.identifier === identifier));
  if (left.length === 0) return;
  const control = NbdControl.open();
  try {
    for (const { index } of left) control.disconnect(index);
  } finally {
    control.close();
  }
}

/** Sends the signals, one after the other, until no such process is left. */
async function endProcesses(find: () => Promise<number[]>, signals: readonly Ending[], waitMs: number): Promise<void> {
  for (const signal of signals) {
    const pids = await find();
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
