import { closeSync, ftruncateSync, mkdirSync, openSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

/** Where the disk of the target may lie: in memory, so that what is measured is the network; else on a disk. */
export const DISK_PLACES = ['/dev/shm', '/var/tmp'] as const;

/** Besides what is written: the file system's own structures, and some room for others. */
const MARGIN_BYTES = 256 * 1024 * 1024;

/**
 * Makes a disk of `sizeBytes`, all holes, in the first place with room for `usedBytes`, and returns its path.
 * @throws Error when there is no such place
 */
export function makeDisk(folderName: string, sizeBytes: number, usedBytes: number): string {
  const neededBytes = usedBytes + MARGIN_BYTES;
  const place = DISK_PLACES.find((candidate) => freeBytes(candidate) >= neededBytes);
  if (place === undefined) {
    const megabytes = Math.ceil(neededBytes / 1e6);
    throw new Error(
      `the demo needs ${megabytes} MB of free space in one of ${DISK_PLACES.join(', ')}; make room, or give a smaller --size`,
    );
  }
  mkdirSync(join(place, folderName), { mode: 0o700 });
  const path = join(place, folderName, 'disk.img');
  const fd = openSync(path, 'wx', 0o600);
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  return path;
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
