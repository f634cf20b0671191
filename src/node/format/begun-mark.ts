import type { BlockDevice } from '../kernel/block-device.ts';
import { runWell } from '../kernel/run.ts';
import { VolumeError } from '../../volumes/errors.ts';
import type { Range } from './places.ts';
import { readDevice } from './read-device.ts';

/**
 * A mark on the disk that says: a mkfs with this UUID was begun here. It is written before the mkfs, for file systems whose own
 * superblock comes last, and taken away when the mkfs has ended. As long as it is there, nobody has ever mounted what is on the disk.
 *
 * ```
 *  | … file system …                  | mark, 4 KiB | 128 KiB that mkfs programs clear |
 * ```
 */
const MAGIC = 'aoe-csi: making a file system, UUID ';
const MARK_BYTES = 4096;
const FROM_END_BYTES = 128 * 1024;
/** Below that a disk is too small for a file system anyway. */
const DISK_BYTES_MIN = 4 * FROM_END_BYTES;
const WRITE_MS = 120_000;

/** @throws VolumeError `unavailable` when it is not certain to be on the disk */
export async function writeMark(device: BlockDevice, uuid: string): Promise<void> {
  const mark = Buffer.alloc(MARK_BYTES);
  mark.write(`${MAGIC}${uuid}\n`, 'latin1');
  await put(device, mark);
}

/** @throws VolumeError `unavailable` when it is not certain to be gone */
export async function eraseMark(device: BlockDevice): Promise<void> {
  await put(device, Buffer.alloc(MARK_BYTES));
}

/** @throws VolumeError `unavailable` when the disk can't be read */
export async function hasMark(device: BlockDevice, uuid: string): Promise<boolean> {
  const place = placeOf(device);
  if (place === undefined) return false;
  return (await readDevice(device, place)).toString('latin1').startsWith(`${MAGIC}${uuid}\n`);
}

function placeOf({ sizeBytes }: BlockDevice): Range | undefined {
  if (sizeBytes < DISK_BYTES_MIN) return undefined;
  const startBytes = Math.floor((sizeBytes - FROM_END_BYTES) / MARK_BYTES) * MARK_BYTES - MARK_BYTES;
  return { startBytes, lengthBytes: MARK_BYTES };
}

/** Past the page cache and through to the disk. The words of a mark are in one sector: it is there as a whole or not at all. */
async function put(device: BlockDevice, bytes: Buffer): Promise<void> {
  const place = placeOf(device);
  if (place === undefined) return;
  const words = [`of=${device.path}`, `bs=${MARK_BYTES}`, `seek=${place.startBytes / MARK_BYTES}`];
  const flags = ['iflag=fullblock', 'oflag=direct', 'conv=notrunc,nocreat,fdatasync', 'status=none'];
  try {
    await runWell('dd', [...words, ...flags], { timeoutMs: WRITE_MS, input: bytes });
  } catch (error) {
    throw new VolumeError('unavailable', `cannot mark ${device.path} before a format: ${(error as Error).message}`);
  }
}
