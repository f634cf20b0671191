import type { Logger } from '../logging/logger.ts';
import { formatBytes } from '../volumes/byte-size.ts';
import { capacityRange } from '../volumes/capacity.ts';
import { VolumeError } from '../volumes/errors.ts';
import { crashPoint } from './crash-points.ts';
import { blockDevice } from './kernel/block-device.ts';
import type { NodeParts } from './node-parts.ts';
import { volumeAt } from './stats.ts';
import { fileSystemOf } from './staging/staging.ts';

const SECTOR_BYTES = 512;

/**
 * Lets a volume's file system take all of its device, which the target has made larger. The caller holds the target's lock.
 * @param requiredBytes,limitBytes as CSI has them, 0 where there is no bound
 * @returns the size asked for, or that of the device where none was
 * @throws VolumeError `not-found`, `out-of-range`, `failed-precondition`
 */
export async function expandVolume(
  parts: NodeParts,
  { volumeId, path, requiredBytes, limitBytes }: { volumeId: string; path: string; requiredBytes: number; limitBytes: number },
  logger: Logger,
): Promise<number> {
  const wanted = capacityRange(requiredBytes, limitBytes);
  const staged = await volumeAt(parts, volumeId, path);
  const device = await blockDevice(staged.device);
  if (device.sizeBytes < wanted.requiredBytes) {
    const target = await parts.initiator.target(staged.address);
    const targetBytes = (target?.sectors ?? 0) * SECTOR_BYTES;
    if (targetBytes >= wanted.requiredBytes) {
      throw new VolumeError(
        'failed-precondition',
        `cannot expand ${volumeId} to ${formatBytes(wanted.requiredBytes)} in use: ${staged.address} has grown, but ${device.path} keeps ` +
          `${formatBytes(device.sizeBytes)} as long as it is attached; stop its pods, so that it is staged anew`,
      );
    }
    throw new VolumeError(
      'out-of-range',
      `cannot expand ${volumeId} to ${formatBytes(wanted.requiredBytes)}: its target ${staged.address} has ${formatBytes(targetBytes)}; make the target larger first`,
    );
  }
  const fileSystem = fileSystemOf(staged);
  if (staged.access.kind === 'mount' && fileSystem !== undefined && !staged.attach.readOnly) {
    try {
      await fileSystem.grow(device, staged.stagingPath);
    } catch (error) {
      throw new VolumeError('internal', `cannot expand ${volumeId}: ${(error as Error).message}`);
    }
    crashPoint('expand-grown');
    logger.info(`${staged.fsType} of ${volumeId} has all of ${device.path}`, { sizeBytes: device.sizeBytes });
  }
  return wanted.requiredBytes > 0 ? wanted.requiredBytes : device.sizeBytes;
}
