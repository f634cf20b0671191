import { isDeepStrictEqual } from 'node:util';
import { VolumeError } from '../../volumes/errors.ts';
import type { FormatRecord } from '../../volumes/records.ts';
import { change, type Store } from '../../volumes/store.ts';
import type { KnownVolume } from '../staging/known-volume.ts';

/** Who writes, and by which publication: checked again in the instant in which the record changes. */
export interface FormatHolder {
  readonly volume: KnownVolume;
  readonly nodeId: string;
  readonly epoch: number;
}

/** The record at this moment: another call may have changed it since the volume was looked up. */
export async function currentFormat(store: Store, volume: KnownVolume): Promise<FormatRecord> {
  const record = await store.targets.get(volume.address);
  const claim = record?.value.claim;
  if (claim?.claim !== volume.claim?.claim || claim === undefined) throw gone(volume);
  return claim.format;
}

/**
 * Takes the format's record from the state that a decision was based on to the next; nothing about a static volume is recorded.
 * @throws VolumeError `aborted` when somebody else has changed it since; `failed-precondition` when the volume is no longer ours
 */
export async function recordFormat(
  store: Store,
  { volume, nodeId, epoch }: FormatHolder,
  before: FormatRecord,
  after: FormatRecord,
): Promise<void> {
  if (volume.claim === undefined) return;
  await change(store.targets, volume.address, (record) => {
    const { claim } = record;
    if (claim?.claim !== volume.claim?.claim || claim === undefined) throw gone(volume);
    if (!isDeepStrictEqual(claim.format, before)) {
      throw new VolumeError('aborted', `another node works on the format of ${volume.volumeId}; call again`);
    }
    if (!record.publications.some((publication) => publication.nodeId === nodeId && publication.epoch === epoch)) {
      throw new VolumeError(
        'failed-precondition',
        `cannot format ${volume.volumeId}: it is no longer published to node ${nodeId}`,
      );
    }
    return { ...record, claim: { ...claim, format: after } };
  });
}

function gone({ volumeId }: KnownVolume): VolumeError {
  return new VolumeError('not-found', `cannot use ${volumeId}: it was deleted meanwhile`);
}
