import { VolumeError } from './errors.ts';
import type { TargetRecord } from './records.ts';
import { formatVolumeId, parseVolumeId, type VolumeId } from './volume-id.ts';

/** Whether it is this volume that the target holds. A target that is taken by a claim is no static volume. */
export function isOn(id: VolumeId, { state, claim }: TargetRecord): boolean {
  if (id.claim !== undefined) return state === 'Claimed' && claim?.claim === id.claim;
  return claim === undefined && state !== 'Released' && state !== 'Wiping';
}

/** The id of the volume on a target: with its claim, or static. */
export function volumeIdOf({ address, claim }: TargetRecord): string {
  return formatVolumeId({ address, claim: claim?.claim });
}

/** @param target at the address in the id; undefined where the store knows none */
export function noVolume(volumeId: string, target: TargetRecord | undefined): VolumeError {
  return new VolumeError('not-found', `there is no volume ${volumeId}: ${whyNot(parseVolumeId(volumeId), target)}`);
}

function whyNot(id: VolumeId | undefined, target: TargetRecord | undefined): string {
  if (id?.claim !== undefined) return 'it was deleted, or it never was';
  if (id === undefined) return 'that is no id of ours; one is like e10.3, or e10.3@ with a claim';
  if (target === undefined) {
    return 'no node has ever seen a target at this address; does `aoe-csi discover` show it on a node, and is its interface allowed?';
  }
  return `its target is not free for a static one: it is ${target.state}, with volume ${volumeIdOf(target)} (${target.claim?.volumeName ?? ''})`;
}
