import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Mount } from '../../system/mountinfo.ts';
import { listMounts } from '../../system/mounts.ts';

/** Users named in a message; more are counted only. */
const USERS_NAMED_MAX = 5;
const NO_DEVICE = -1;

/**
 * Who uses a block device or a partition of it, a phrase each: `mounted at /mnt`. Only what can be seen from this container's
 * /proc. Reads no byte of the device and does not open it: both can wait for a target that is down.
 */
export function deviceUsers(device: string): string[] {
  const numbers = deviceNumbers(basename(device));
  const names = new Set([...numbers.keys()].map((name) => join('/dev', name)));
  const isOfDevice = ({ deviceNumber, source }: Mount): boolean =>
    names.has(source) || [...numbers.values()].includes(deviceNumber);
  const users = [...swaps(names), ...[...numbers.keys()].flatMap(holders), ...mountUsers(isOfDevice)];
  const devices = new Set([...names].map(deviceAt).filter((number) => number !== NO_DEVICE));
  for (const pid of processes()) if (hasOpen(pid, names, devices)) users.push(`open in ${processName(pid)}`);
  const more = users.length - USERS_NAMED_MAX;
  return more > 0 ? [...users.slice(0, USERS_NAMED_MAX), `${more} more`] : users;
}

/** `major:minor` of a disk and its partitions, by name. */
function deviceNumbers(disk: string): Map<string, string> {
  const folder = join('/sys/block', disk);
  const numbers = new Map([[disk, textOf(join(folder, 'dev')).trim()]]);
  for (const entry of entriesOf(folder)) {
    if (entry.startsWith(disk)) numbers.set(entry, textOf(join(folder, entry, 'dev')).trim());
  }
  return numbers;
}

function swaps(names: ReadonlySet<string>): string[] {
  const used = textOf('/proc/swaps')
    .split('\n')
    .map((line) => line.split(/\s/)[0]);
  return used.filter((name) => names.has(name)).map((name) => `swap on ${name}`);
}

function holders(name: string): string[] {
  return entriesOf(join('/sys/class/block', name, 'holders')).map((holder) => `held by /dev/${holder}`);
}

/** Mounts here, and those of processes that have mounts of their own, which may go on when they are gone here. */
function mountUsers(isOfDevice: (mount: Mount) => boolean): string[] {
  const here = new Set(
    listMounts()
      .filter(isOfDevice)
      .map(({ mountPoint }) => mountPoint),
  );
  const users = new Map([...here].map((path) => [path, `mounted at ${path}`]));
  const seen = new Set([linkOf('/proc/self/ns/mnt')]);
  for (const pid of processes()) {
    const namespace = linkOf(`/proc/${pid}/ns/mnt`);
    if (seen.has(namespace)) continue;
    seen.add(namespace);
    for (const { mountPoint } of listMounts(pid).filter(isOfDevice)) {
      if (here.has(mountPoint)) continue;
      users.set(mountPoint, `mounted at ${mountPoint} for ${processName(pid)}, which has mounts of its own`);
    }
  }
  return [...users.values()];
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function processName(pid: string): string {
  return `process ${pid} (${textOf(`/proc/${pid}/comm`).trim()})`;
}

/** A container may have the device under another name; only what it calls a device is looked at, as looking at other files can wait. */
function hasOpen(pid: string, names: ReadonlySet<string>, devices: ReadonlySet<number>): boolean {
  return entriesOf(`/proc/${pid}/fd`).some((fd) => {
    const link = linkOf(`/proc/${pid}/fd/${fd}`) ?? '';
    return names.has(link) || (link.startsWith('/dev/') && devices.has(deviceAt(`/proc/${pid}/fd/${fd}`)));
  });
}

/** The number of the device node at a path; NO_DEVICE when there is none. */
function deviceAt(path: string): number {
  try {
    const found = statSync(path);
    return found.isBlockDevice() ? found.rdev : NO_DEVICE;
  } catch {
    return NO_DEVICE;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
