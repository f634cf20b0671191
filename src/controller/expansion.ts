import { formatBytes } from '../volumes/byte-size.ts';
import { isWithin, type CapacityRange } from '../volumes/capacity.ts';
import { VolumeError } from '../volumes/errors.ts';
import type { TargetRecord } from '../volumes/records.ts';
import { change, type Store } from '../volumes/store.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { noVolume } from '../volumes/volume-on-target.ts';
import { crashPoint } from './crash-points.ts';
import { volumeOf } from './find-volume.ts';

/**
 * Grants a volume more of its target. A target itself grows only by its operator's hand; the inventory notices that.
 * @returns the size granted: what was asked for, or more when the volume had more already
 * @throws VolumeError `not-found`; `out-of-range` when the target is smaller, or the volume larger than allowed
 */
export async function expandVolume(store: Store, id: VolumeId, range: CapacityRange): Promise<number> {
  const record = await change(store.targets, id.address, (target) => {
    const { claim } = volumeOf(id, target);
    const has = claim?.capacityBytes ?? target.identity.sizeBytes;
    if (isWithin(range, has)) return undefined;
    requireGrowth(id, target, range, has);
    // Without a claim the volume has all of its target, so that it never gets here.
    return claim === undefined ? undefined : { ...target, claim: { ...claim, capacityBytes: range.requiredBytes } };
  });
  if (record === undefined) throw noVolume(formatVolumeId(id), undefined);
  crashPoint('expand-recorded');
  return record.value.claim?.capacityBytes ?? record.value.identity.sizeBytes;
}

function requireGrowth(
  id: VolumeId,
  { address, identity }: TargetRecord,
  { requiredBytes, limitBytes }: CapacityRange,
  has: number,
): void {
  const volume = formatVolumeId(id);
  if (limitBytes !== 0 && has > limitBytes) {
    throw new VolumeError(
      'out-of-range',
      `cannot bring ${volume} to at most ${formatBytes(limitBytes)}: it has ${formatBytes(has)}, and volumes never shrink`,
    );
  }
  if (identity.sizeBytes >= requiredBytes) return;
  throw new VolumeError(
    'out-of-range',
    `cannot expand ${volume} to ${formatBytes(requiredBytes)}: its target ${address} has ${formatBytes(identity.sizeBytes)}; ` +
      'grow the disk behind it where it is served, see that `aoe-csi discover` shows the new size, and call again',
  );
}
