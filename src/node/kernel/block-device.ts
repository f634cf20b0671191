import { constants } from 'node:fs';
import { open, readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { VolumeError } from '../../volumes/errors.ts';
import type { Mount } from '../../system/mountinfo.ts';
import { runWell } from './run.ts';

/** A block device as the kernel knows it. */
export interface BlockDevice {
  /** `/dev/loop3` */
  readonly path: string;
  /** `7:3` */
  readonly number: string;
  readonly sizeBytes: number;
}

/** sysfs counts in these, whatever the device's own sectors are. */
const SYSFS_SECTOR_BYTES = 512;
/** Field of /sys/block/…/stat: sectors written (Documentation/block/stat.rst). */
const STAT_SECTORS_WRITTEN = 6;

/**
 * Looks at a device without opening it: opening can wait for a target.
 * @throws VolumeError `unavailable` when there is no such block device
 */
export async function blockDevice(path: string): Promise<BlockDevice> {
  const number = await deviceNumberAt(path);
  if (number === undefined) {
    throw new VolumeError('unavailable', `cannot use ${path}: it is no block device; was the volume detached meanwhile?`);
  }
  const sectors = Number(await readFile(`/sys/dev/block/${number}/size`, 'utf8'));
  return { path, number, sizeBytes: sectors * SYSFS_SECTOR_BYTES };
}

/** `major:minor` of the block device node at a path; undefined when something else is there, or nothing. */
export async function deviceNumberAt(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isBlockDevice() ? deviceNumber(found.rdev) : undefined;
  } catch {
    return undefined;
  }
}

/** glibc's gnu_dev_major and gnu_dev_minor. */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** Whether a mount shows a file system on this device. btrfs mounts have numbers of their own and name the device as their source. */
export function isMountOf(mount: Mount, device: Pick<BlockDevice, 'path' | 'number'>): boolean {
  return mount.deviceNumber === device.number || mount.source === device.path;
}

/**
 * Makes sure that nobody else works on the device: no mount, no mkfs that an earlier process of ours has left running.
 * @throws VolumeError `unavailable` when somebody does
 */
export async function requireIdle({ path }: BlockDevice): Promise<void> {
  try {
    // Linux, open(2): O_EXCL on a block device without O_CREAT fails with EBUSY while another has it exclusively.
    const handle = await open(path, constants.O_RDONLY | constants.O_EXCL);
    await handle.close();
  } catch (error) {
    const { code } = error as { code?: string };
    const what = code === 'EBUSY' ? 'it is mounted, or a program still works on it' : `open failed with ${String(code)}`;
    throw new VolumeError('unavailable', `cannot use ${path} now: ${what}; call again when that has ended`);
  }
}

/**
 * Writes what is cached of a device to it, and has it write its own cache. In a process of its own: the target may fall silent.
 * @throws VolumeError `unavailable` when that fails, or takes longer
 */
export async function flushDevice({ path }: BlockDevice, timeoutMs: number): Promise<void> {
  try {
    await runWell('sync', [path], { timeoutMs });
  } catch (error) {
    throw new VolumeError('unavailable', `cannot flush ${path}: ${(error as Error).message}`);
  }
}

/** Bytes written to a device since it exists: how far a mkfs has come. 0 when unknown. */
export async function writtenBytes({ number }: BlockDevice): Promise<number> {
  try {
    const fields = (await readFile(`/sys/dev/block/${number}/stat`, 'utf8')).trim().split(/\s+/);
    return Number(fields[STAT_SECTORS_WRITTEN]) * SYSFS_SECTOR_BYTES;
  } catch {
    return 0;
  }
}

/** The kernel's name of a device number, e.g. `loop3`; undefined when there is no such device now. */
export async function kernelNameOf(number: string): Promise<string | undefined> {
  try {
    return basename(await readlink(`/sys/dev/block/${number}`));
  } catch {
    return undefined;
  }
}
