import type { Logger } from '../logging/logger.ts';
import { formatBytes } from '../volumes/byte-size.ts';
import { capacityRange } from '../volumes/capacity.ts';
import { isVolumeError, VolumeError } from '../volumes/errors.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { crashPoint } from './crash-points.ts';
import type { FileSystem } from './format/file-system.ts';
import { blockDevice, type BlockDevice } from './kernel/block-device.ts';
import type { NodeParts } from './node-parts.ts';
import { volumeAt } from './stats.ts';
import type { StagedVolume } from './staging/staged-volume.ts';
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
  let device = await blockDevice(staged.device);
  if (device.sizeBytes < wanted.requiredBytes) {
    await growDevice(parts, volumeId, staged.address, device, wanted.requiredBytes);
    device = await blockDevice(staged.device);
  }
  const fileSystem = fileSystemOf(staged);
  if (staged.access.kind === 'mount' && fileSystem !== undefined && !staged.attach.readOnly) {
    await growFileSystem(fileSystem, device, staged);
    crashPoint('expand-grown');
    logger.info(`${staged.fsType} of ${volumeId} has all of ${device.path}`, { sizeBytes: device.sizeBytes });
  }
  return wanted.requiredBytes > 0 ? wanted.requiredBytes : device.sizeBytes;
}

/**
 * @throws VolumeError `failed-precondition` where the kernel does not let this process grow it: an orchestrator does not keep a pod from
 * starting for that (Kubernetes: NodeExpander.expandOnPlugin), and asks again when the volume has been staged anew
 */
async function growFileSystem(
  fileSystem: FileSystem,
  device: BlockDevice,
  { volumeId, stagingPath }: StagedVolume,
): Promise<void> {
  try {
    await fileSystem.grow(device, stagingPath);
  } catch (error) {
    const why = fileSystem.whyNotMounted();
    if (why === undefined) throw new VolumeError('internal', `cannot expand ${volumeId}: ${(error as Error).message}`);
    const advice =
      parseVolumeId(volumeId)?.claim === undefined
        ? 'it is a static volume: grow its file system by hand while no pod uses it'
        : 'it grows when its pods start again: stop all of them, so that it is staged anew';
    throw new VolumeError('failed-precondition', `cannot expand ${volumeId} in use: ${why}; ${advice}`);
  }
}

/** @throws VolumeError `out-of-range` where the target is not that large; `failed-precondition` where its device can't grow in use */
async function growDevice(
  { initiator }: NodeParts,
  volumeId: string,
  address: string,
  device: BlockDevice,
  requiredBytes: number,
): Promise<void> {
  const attempted = `cannot expand ${volumeId} to ${formatBytes(requiredBytes)}`;
  let refusal: VolumeError | undefined;
  try {
    await initiator.grow(address);
  } catch (error) {
    if (!isVolumeError(error) || error.code !== 'failed-precondition') throw error;
    refusal = error;
  }
  // It has just been asked.
  const targetBytes = ((await initiator.target(address))?.sectors ?? 0) * SECTOR_BYTES;
  if (targetBytes < requiredBytes) {
    const advice = 'make the target larger first';
    throw new VolumeError('out-of-range', `${attempted}: its target ${address} has ${formatBytes(targetBytes)}; ${advice}`);
  }
  if (refusal === undefined) return;
  throw new VolumeError(
    'failed-precondition',
    `${attempted} in use: ${address} has grown, but ${device.path} keeps ${formatBytes(device.sizeBytes)} as long as it is attached; ` +
      `stop its pods, so that it is staged anew`,
  );
}
