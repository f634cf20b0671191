import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Users named in a message; more are counted only. */
const USERS_NAMED_MAX = 5;

/**
 * Who uses a block device or a partition of it, a phrase each: `mounted at /mnt`. Only what can be seen from this container's
 * /proc. Reads no byte of the device and does not open it: both can wait for a target that is down.
 */
export function deviceUsers(device: string): string[] {
  const numbers = deviceNumbers(basename(device));
  const names = new Set([...numbers.keys()].map((name) => join('/dev', name)));
  const users = [...swaps(names), ...[...numbers.keys()].flatMap(holders)];
  const ours = linkOf('/proc/self/ns/mnt');
  const seen = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const namespace = linkOf(`/proc/${pid}/ns/mnt`);
    if (namespace !== undefined && !seen.has(namespace)) {
      seen.add(namespace);
      const where = namespace === ours ? '' : ` for ${processName(pid)}, which has mounts of its own`;
      users.push(...mounts(pid, new Set(numbers.values()), names).map((path) => `mounted at ${path}${where}`));
    }
    if (hasOpen(pid, names)) users.push(`open in ${processName(pid)}`);
  }
  const distinct = [...new Set(users)];
  const more = distinct.length - USERS_NAMED_MAX;
  return more > 0 ? [...distinct.slice(0, USERS_NAMED_MAX), `${more} more`] : distinct;
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

/** Mount points in a process' mount namespace. proc(5), /proc/pid/mountinfo: fields 3 and 5 are device number and mount point; after `-` come type and source. */
function mounts(pid: string, numbers: ReadonlySet<string>, names: ReadonlySet<string>): string[] {
  const users: string[] = [];
  for (const line of textOf(`/proc/${pid}/mountinfo`).split('\n')) {
    const fields = line.split(' ');
    const source = fields[fields.indexOf('-') + 2];
    if (numbers.has(fields[2]) || names.has(source)) users.push(unescape(fields[4]));
  }
  return users;
}

function processName(pid: string): string {
  return `process ${pid} (${textOf(`/proc/${pid}/comm`).trim()})`;
}

function hasOpen(pid: string, names: ReadonlySet<string>): boolean {
  return entriesOf(`/proc/${pid}/fd`).some((fd) => names.has(linkOf(`/proc/${pid}/fd/${fd}`) ?? ''));
}

/** Spaces and backslashes in mountinfo are octal. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
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
