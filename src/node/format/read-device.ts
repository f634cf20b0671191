import { VolumeError } from '../../volumes/errors.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import { runWell } from '../kernel/run.ts';
import type { Range } from './places.ts';

const READ_MS = 120_000;

/**
 * Reads a range of a device past the page cache, in a process of its own: the target may be silent for long.
 * @param range begins and ends at a multiple of 512 bytes
 * @param timeoutMs after so long it counts as unreadable
 * @throws VolumeError `unavailable` when not all of it could be read: nothing may be concluded then
 */
export async function readDevice(
  { path }: BlockDevice,
  { startBytes, lengthBytes }: Range,
  timeoutMs = READ_MS,
): Promise<Buffer> {
  const where = `${lengthBytes} bytes at ${startBytes} of ${path}`;
  const words = [`if=${path}`, 'bs=1M', `count=${lengthBytes}`, `skip=${startBytes}`];
  const flags = ['iflag=direct,count_bytes,skip_bytes,fullblock', 'status=none'];
  let bytes: Buffer;
  try {
    bytes = (await runWell('dd', [...words, ...flags], { timeoutMs })).stdout;
  } catch (error) {
    throw new VolumeError('unavailable', `cannot read ${where}: ${(error as Error).message}`);
  }
  if (bytes.length === lengthBytes) return bytes;
  throw new VolumeError('unavailable', `cannot read ${where}: the device ended after ${bytes.length} bytes`);
}
