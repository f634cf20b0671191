import { VolumeError } from './errors.ts';
import type { TargetRecord } from './records.ts';
import { formatVolumeId, type VolumeId } from './volume-id.ts';

/** Whether it is this volume that the target holds. A target that is taken by a claim is no static volume. */
export function isOn(id: VolumeId, { state, claim }: TargetRecord): boolean {
  if (id.claim !== undefined) return state === 'Claimed' && claim?.claim === id.claim;
  return claim === undefined && state !== 'Released' && state !== 'Wiping';
}

/** The id of the volume on a target: with its claim, or static. */
export function volumeIdOf({ address, claim }: TargetRecord): string {
  return formatVolumeId({ address, claim: claim?.claim });
}

export function noVolume(volumeId: string): VolumeError {
  return new VolumeError('not-found', `there is no volume ${volumeId}: it was deleted, or it never was`);
}
