import type { Logger } from '../../logging/logger.ts';
import type { FormatRecord } from '../../volumes/records.ts';
import type { Store } from '../../volumes/store.ts';
import { crashPoint } from '../crash-points.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import type { RunOptions } from '../kernel/run.ts';
import { FILE_SYSTEMS } from './file-systems.ts';
import { recordFormat, type FormatHolder } from './format-record.ts';
import type { FsType } from './verdict.ts';

/**
 * Growth of a file system that is not mounted, for where the kernel does not let this process grow a mounted one. No journal covers it:
 * a node that dies in the middle leaves what cannot be mounted, and what `e2fsck -p` leaves to a person. So the record says `growing`
 * from a moment when all of the file system was seen to be right until it is so again: whoever stages the volume next knows by that
 * what the errors are from, and that answering yes to all that e2fsck asks loses nothing (docs/decisions/0030).
 */

const FSCK_MS = 86_400_000;

export interface Growing extends FormatHolder {
  readonly device: BlockDevice;
  readonly fsType: FsType;
}

/**
 * Lets a file system that was never mounted since `formatted` was recorded take all of its device, if it can't do that later.
 * What can't grow is as good as before, and is said in the log.
 * @param record what the store has now
 * @throws VolumeError `failed-precondition` when the file system needs a person; as recordFormat
 */
export async function growUnmounted(store: Store, growing: Growing, record: FormatRecord, logger: Logger): Promise<void> {
  const { volume, device, fsType } = growing;
  const fileSystem = FILE_SYSTEMS[fsType];
  const { unmounted } = fileSystem;
  // Of a static volume there is no record that could say that it is growing.
  if (unmounted === undefined || volume.claim === undefined || fileSystem.whyNotMounted() === undefined) return;
  const wanted = await unmounted.wanted(device);
  if (wanted === 'none') return;
  if (wanted === 'moving') {
    const advice = 'make a backup, and run e2fsck -f and resize2fs on the target by hand while no pod uses the volume';
    logger.warn(`the ${fsType} of ${volume.volumeId} has no room to grow to all of ${device.path} in place: ${advice}`);
    return;
  }
  await unmounted.checkAll(device, watched(growing, logger, 'checking'));
  const begun: FormatRecord = { ...record, state: 'growing' };
  await recordFormat(store, growing, record, begun);
  crashPoint('grow-recorded');
  try {
    await unmounted.grow(device);
    logger.info(`${fsType} of ${volume.volumeId} has all of ${device.path}`, { sizeBytes: device.sizeBytes });
  } catch (error) {
    logger.warn(`the ${fsType} of ${volume.volumeId} does not take all of ${device.path}: ${(error as Error).message}`);
    await unmounted.mend(device, watched(growing, logger, 'mending'));
  }
  crashPoint('grow-made');
  await recordFormat(store, growing, begun, record);
  crashPoint('grow-confirmed');
}

/**
 * After a growth that nobody has seen the end of: makes it one file system again.
 * @returns the record as it is in the store now
 */
export async function endGrowth(store: Store, growing: Growing, record: FormatRecord, logger: Logger): Promise<FormatRecord> {
  const { volume, device, fsType } = growing;
  const { unmounted } = FILE_SYSTEMS[fsType];
  if (record.state !== 'growing' || unmounted === undefined) return record;
  logger.warn(`the ${fsType} of ${volume.volumeId} was growing when its node died: mending it on ${device.path}`);
  await unmounted.mend(device, watched(growing, logger, 'mending'));
  const whole: FormatRecord = { ...record, state: 'formatted' };
  await recordFormat(store, growing, record, whole);
  return whole;
}

function watched({ volume, device }: Growing, logger: Logger, verb: string): RunOptions {
  const onProgress = (seconds: number) => logger.info(`${verb} ${device.path} (${volume.volumeId}): ${seconds} s`);
  return { timeoutMs: FSCK_MS, onProgress };
}
