import { randomUUID } from 'node:crypto';
import type { Logger } from '../../logging/logger.ts';
import { VolumeError } from '../../volumes/errors.ts';
import type { VolumeSettings } from '../../volumes/parameters.ts';
import type { FormatRecord } from '../../volumes/records.ts';
import type { Store } from '../../volumes/store.ts';
import { crashPoint } from '../crash-points.ts';
import { requireIdle, writtenBytes, type BlockDevice } from '../kernel/block-device.ts';
import { findProgram } from '../../system/programs.ts';
import type { KnownVolume } from '../staging/known-volume.ts';
import type { FileSystem } from './file-system.ts';
import { FILE_SYSTEMS } from './file-systems.ts';
import { currentFormat, recordFormat, type FormatHolder } from './format-record.ts';
import { endGrowth, growUnmounted } from './growing.ts';
import { describeProbe, probeDevice } from './probe.ts';
import { formatVerdict, isFsType, RAW, type FsType } from './verdict.ts';

/** A mkfs of the largest target at the pace of the slowest ends within a day. */
const MKFS_MS = 86_400_000;
const FSCK_MS = 86_400_000;
const NEVER: FormatRecord = { state: 'never', fsType: '', uuid: '' };

export interface FormatRequest extends FormatHolder {
  readonly settings: VolumeSettings;
  readonly device: BlockDevice;
  /** Wanted; empty: whatever is there. */
  readonly fsType: string;
  readonly readOnly: boolean;
  /** Called once all is decided, before the first byte is written to the device; not at all when nothing will be. */
  readonly beforeWriting: () => Promise<void>;
}

/**
 * Gets a device ready to be mounted: finds out what is on it, formats it if, and only if, that is certain to be right
 * (format/verdict.ts), and mends what a crash has left. The device is attached and, where the target can, reserved for this node.
 *
 * @returns the file system on it
 * @throws VolumeError `failed-precondition` with the facts when it can't be mounted as it is; `unavailable` when it can't be read
 */
export async function prepareFileSystem(store: Store, request: FormatRequest, logger: Logger): Promise<FsType> {
  const { volume, settings, device, fsType, readOnly } = request;
  await requireIdle(device);
  const record = volume.claim === undefined ? NEVER : await currentFormat(store, volume);
  const verdict = formatVerdict({
    record,
    isStatic: volume.claim === undefined,
    mayFormatStatic: settings.format === 'blank',
    readOnly,
    fsType,
    fsTypeDefault: settings.fsType,
    probe: await probeDevice(device),
    isOurBeginning: await isOurBeginning(device, record),
  });
  if (verdict.action === 'refuse') {
    throw new VolumeError('failed-precondition', `cannot mount ${volume.volumeId} (${device.path}): ${verdict.why}`);
  }
  const type = verdict.fsType as FsType;
  requirePrograms(FILE_SYSTEMS[type]);
  if (!readOnly) await request.beforeWriting();
  if (verdict.action === 'format') {
    const begun: FormatRecord = { state: 'formatting', fsType: type, uuid: verdict.uuid ?? randomUUID() };
    await recordFormat(store, request, record, begun);
    crashPoint('format-recorded');
    await make(request, begun, verdict.again, logger);
    crashPoint('format-made');
    await recordFormat(store, request, begun, { ...begun, state: 'formatted' });
    crashPoint('format-confirmed');
  } else if (verdict.action === 'confirm') {
    await recordFormat(store, request, record, { ...record, state: 'formatted' });
    crashPoint('format-confirmed');
  }
  if (!readOnly) await makeReady(store, request, type, logger);
  return type;
}

/** Mends what a crash has left, and lets the file system take all of a device that has grown if it can't do so later. */
async function makeReady(store: Store, request: FormatRequest, type: FsType, logger: Logger): Promise<void> {
  const { volume, device } = request;
  const growing = { ...request, fsType: type };
  const before = volume.claim === undefined ? NEVER : await currentFormat(store, volume);
  const record = await endGrowth(store, growing, before, logger);
  const onProgress = (seconds: number) => logger.info(`checking the ${type} on ${device.path}: ${seconds} s`);
  await FILE_SYSTEMS[type].check(device, { timeoutMs: FSCK_MS, onProgress });
  await growUnmounted(store, growing, record, logger);
}

/**
 * That a volume is given out as a raw device: from now on what is on it is its user's, and it is never formatted. What is on the disk
 * of a volume that nobody has used yet is another's, who may need it, or whom it may concern that it is read.
 * @throws VolumeError `failed-precondition` when it is not blank then; `unavailable` when it can't be read
 */
export async function prepareRaw(store: Store, request: Omit<FormatRequest, 'settings' | 'fsType'>): Promise<void> {
  const { volume, device, readOnly } = request;
  const record = volume.claim === undefined ? undefined : await currentFormat(store, volume);
  const isNew = record?.state === 'never';
  if (isNew) await requireBlank(volume, device);
  if (!readOnly) await request.beforeWriting();
  if (isNew && !readOnly) await recordFormat(store, request, record, { state: 'formatted', fsType: RAW, uuid: '' });
}

async function requireBlank({ volumeId }: KnownVolume, device: BlockDevice): Promise<void> {
  const probe = await probeDevice(device);
  if (probe.kind === 'blank') return;
  throw new VolumeError(
    'failed-precondition',
    `cannot use ${volumeId} (${device.path}): it is new, but found ${describeProbe(probe)}, which it has not written; ` +
      'if nobody needs that, clear the disk by hand (wipefs, dd); else delete the volume, and keep the target out of the class',
  );
}

async function isOurBeginning(device: BlockDevice, { state, fsType, uuid }: FormatRecord): Promise<boolean> {
  return state === 'formatting' && isFsType(fsType) && FILE_SYSTEMS[fsType].isBegun(device, uuid);
}

async function make(
  { volume, device }: FormatRequest,
  { fsType, uuid }: FormatRecord,
  again: boolean,
  logger: Logger,
): Promise<void> {
  logger.info(`making ${fsType} with UUID ${uuid} on ${device.path}`, { sizeBytes: device.sizeBytes });
  const beforeBytes = await writtenBytes(device);
  const tell = async (seconds: number): Promise<void> => {
    const megabytes = Math.round(((await writtenBytes(device)) - beforeBytes) / 1e6);
    logger.info(`making ${fsType} on ${device.path}: ${seconds} s, ${megabytes} MB written`);
  };
  try {
    const onProgress = (seconds: number) => void tell(seconds);
    await FILE_SYSTEMS[fsType as FsType].make(device, uuid, again, { timeoutMs: MKFS_MS, onProgress });
  } catch (error) {
    throw new VolumeError('unavailable', `cannot format ${volume.volumeId}: ${(error as Error).message}`);
  }
}

function requirePrograms({ programs }: FileSystem): void {
  for (const [program, debianPackage] of programs) {
    if (findProgram(program) !== undefined) continue;
    throw new VolumeError(
      'failed-precondition',
      `cannot mount: ${program} is missing on this node; install it, on Debian ${debianPackage}`,
    );
  }
}
