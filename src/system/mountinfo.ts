import { join, relative } from 'node:path';

/**
 * The kernel's table of mounts, /proc/self/mountinfo (proc(5)):
 *
 * ```
 * 36 35 98:0 /sub /mnt/a\040b rw,noatime shared:1 - ext4 /dev/loop3 rw,errors=continue
 * id parent dev root mount point options …fields… - type source superblock options
 * ```
 */
export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of what is mounted; btrfs and file systems without a device have numbers of their own, `0:…`. */
  readonly deviceNumber: string;
  /** Which part of the file system is seen: `/`, or what was bound. */
  readonly root: string;
  readonly mountPoint: string;
  /** Of this mount: `ro`, `nosuid` … */
  readonly options: readonly string[];
  /** How mounts travel between namespaces: `shared:1`, `master:2`; empty when private. */
  readonly propagation: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** Of the file system: `ro` here means that nobody can write. */
  readonly superOptions: readonly string[];
}

/** Longest line that is read: a few paths of 4 KiB, each byte of which may be written as `\040`. */
const LINE_LENGTH_MAX = 128 * 1024;
const FIXED_FIELDS = 6;

/** Reads the whole table, in the order of mounting. Lines of another form are left out; never throws. */
export function parseMountInfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): Mount | undefined {
  if (line.length > LINE_LENGTH_MAX) return undefined;
  const fields = line.split(' ');
  const separator = fields.indexOf('-', FIXED_FIELDS);
  const [id, parentId, deviceNumber, root, mountPoint, options] = fields;
  const [fsType, source, superOptions] = fields.slice(separator + 1);
  if (separator < 0 || superOptions === undefined || !/^\d+$/.test(id) || !/^\d+:\d+$/.test(deviceNumber)) return undefined;
  return {
    id: Number(id),
    parentId: Number(parentId),
    deviceNumber,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options.split(','),
    propagation: fields.slice(FIXED_FIELDS, separator),
    fsType: unescapeOctal(fsType),
    source: unescapeOctal(source),
    superOptions: superOptions.split(','),
  };
}

/** The kernel writes space, tab, newline and backslash as `\ooo`, byte by byte; everything else, UTF-8 too, as it is. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Mounts that are on top of each other at a path, the topmost last. `path` is canonical. */
export function mountsAt(table: readonly Mount[], path: string): Mount[] {
  return table.filter((mount) => mount.mountPoint === path && !isOutOfSight(table, mount));
}

/**
 * Whether another mount lies over a folder above this one. Where a folder was bound to itself below a shared mount, as hosts do with
 * /var/lib/kubelet, the kernel puts a copy of each mount in there below that, too: at the same path, where no path leads to.
 */
function isOutOfSight(table: readonly Mount[], mount: Mount): boolean {
  let at: Mount | undefined = mount;
  // As many steps as there are mounts: what others have written may have no end.
  for (let step = 0; at !== undefined && step < table.length; step++) {
    const { id, parentId, mountPoint }: Mount = at;
    const siblings = table.filter((other) => other.parentId === parentId && other.id !== id);
    if (siblings.some((other) => mountPoint.startsWith(`${other.mountPoint}/`))) return true;
    at = parentOf(table, at);
  }
  return false;
}

/**
 * Whether a mount is there only because another one is: the folder that this was mounted in is seen in two places, as it is where
 * /var/lib/kubelet is bound to somewhere else, and what is mounted in one is mounted in the other by the kernel, and unmounted with it.
 */
export function isCopyOf(table: readonly Mount[], mount: Mount, original: Mount): boolean {
  const [there, here] = [parentOf(table, mount), parentOf(table, original)];
  const group = here?.propagation.map((field) => /^shared:(\d+)$/.exec(field)?.[1]).find((found) => found !== undefined);
  if (there === undefined || here === undefined || group === undefined) return false;
  const follows = there.propagation.includes(`shared:${group}`) || there.propagation.includes(`master:${group}`);
  return follows && placeIn(there, mount) === placeIn(here, original);
}

function parentOf(table: readonly Mount[], { parentId }: Mount): Mount | undefined {
  return table.find(({ id }) => id === parentId);
}

/** Where a mount is, in the file system that it is mounted in. */
function placeIn(parent: Mount, { mountPoint }: Mount): string {
  return join(parent.root, relative(parent.mountPoint, mountPoint));
}
