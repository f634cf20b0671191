import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listMounts } from '../../src/system/mounts.ts';
import { cgroupNames, removeCgroups } from './cluster-cgroup.ts';

/**
 * What runs that were cut off have left on this machine. Their processes died with them (faults-process.ts); mounts, loop devices,
 * network namespaces and control groups stay, and what is mounted of a dead disk is in the way of every later run. Names say which
 * process made them.
 */

const FOLDER = /^aoe-csi-(?:faults|cluster)-(\d+)-/;
const NAMESPACE = /^aoe-csi-.*-(\d+)-\d+$/;
const NAMESPACES = '/run/netns';
/** In memory, as a control plane's. */
const MEMORY = '/dev/shm';
const LOOPS = '/sys/block';
/** What is seen of a file in another mount namespace, or in none. */
const UNREACHABLE_FILE = /^\/e\d+\.\d+$/;
/** A disk that answers later is not dead, but busy, or its initiator stands still. */
const ANSWER_S = '2';
const IS_LATE = 124;
/** Of processes that have been killed. */
const [END_TRIES, END_LOOK_MS] = [50, 100];

/** Removes what is left of tests whose process has ended. Jest calls it before a run; without root there is nothing to remove. */
export default async function removeLeftovers(): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  for (const folder of [tmpdir(), MEMORY]) {
    for (const name of left(namesIn(folder), FOLDER)) removeFolder(join(folder, name));
  }
  for (const name of left(namesIn(NAMESPACES), NAMESPACE)) execFileSync('ip', ['netns', 'delete', name]);
  for (const name of left(cgroupNames(), NAMESPACE)) {
    for (let tries = 0; !removeCgroups(name) && tries < END_TRIES; tries++) await sleep(END_LOOK_MS);
  }
  detachDeadLoops();
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function left(names: readonly string[], pattern: RegExp): string[] {
  return names.filter((name) => {
    const pid = pattern.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
}

function removeFolder(folder: string): void {
  const mountPoints = listMounts().map(({ mountPoint }) => mountPoint);
  const within = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  for (const path of mountPoints.filter(within).reverse()) execFileSync('umount', ['--lazy', path]);
  detachLoops(within);
  rmSync(folder, { recursive: true, force: true });
}

/** Loop devices of initiators that died with their node: their FUSE file system is mounted nowhere any more, so that its root is /. */
export function detachDeadLoops(): void {
  detachLoops((path, device) => UNREACHABLE_FILE.test(path) && isDead(device));
}

/** Those of a container, or of another run's node, look the same, and live. */
function isDead(device: string): boolean {
  const { status } = spawnSync('timeout', [ANSWER_S, 'dd', `if=${device}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct']);
  return status !== 0 && status !== IS_LATE;
}

function detachLoops(isWanted: (backingFile: string, device: string) => boolean): void {
  for (const name of readdirSync(LOOPS)) {
    const device = `/dev/${name}`;
    if (isWanted(backingFile(name), device)) execFileSync('losetup', ['--detach', device]);
  }
}

function backingFile(name: string): string {
  try {
    return readFileSync(join(LOOPS, name, 'loop/backing_file'), 'utf8').trim();
  } catch {
    return '';
  }
}
