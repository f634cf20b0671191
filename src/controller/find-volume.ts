import { VolumeError } from '../volumes/errors.ts';
import type { ClaimRecord, TargetRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';
import { formatVolumeId, parseVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { isOn, noVolume } from '../volumes/volume-on-target.ts';

/** The target of a volume, and its claim unless it is static. */
export interface FoundVolume {
  readonly id: VolumeId;
  readonly target: TargetRecord;
  readonly claim: ClaimRecord | undefined;
}

/**
 * The volume with an id.
 * @throws VolumeError `not-found` for an id that no volume has: never given, or deleted since; `aborted` while it is being made
 */
export async function findVolume(store: Store, volumeId: string): Promise<FoundVolume> {
  const id = parseVolumeId(volumeId);
  const found = id === undefined ? undefined : await store.targets.get(id.address);
  if (id === undefined || found === undefined) throw noVolume(volumeId, undefined);
  return volumeOf(id, found.value);
}

/** The same of a record that has just been read: for those who change it. @throws as findVolume */
export function volumeOf(id: VolumeId, target: TargetRecord): FoundVolume {
  if (!isOn(id, target)) throw noVolume(formatVolumeId(id), target);
  if (target.claim?.confirmed === false) {
    throw new VolumeError('aborted', `volume ${formatVolumeId(id)} is still being made; call CreateVolume again, then this`);
  }
  return { id, target, claim: target.claim };
}
