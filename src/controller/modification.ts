import { VolumeError } from '../volumes/errors.ts';
import type { VolumeParameters } from '../volumes/records.ts';
import { change, type Store } from '../volumes/store.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { noVolume } from '../volumes/volume-on-target.ts';
import { crashPoint } from './crash-points.ts';
import { volumeOf } from './find-volume.ts';

/**
 * Changes what may change of a volume while it is used: in one write, so all of it or nothing. The node that has it staged reads it
 * in the record and applies it without detaching.
 * @param parameters checked (parameters.ts)
 * @throws VolumeError `not-found`; `failed-precondition` for a static volume
 */
export async function modifyVolume(store: Store, id: VolumeId, parameters: VolumeParameters): Promise<void> {
  const record = await change(store.targets, id.address, (target) => {
    const { claim } = volumeOf(id, target);
    if (claim === undefined) throw isStatic(id);
    const isSame = Object.entries(parameters).every(([name, value]) => claim.mutableParameters[name] === value);
    if (isSame) return undefined;
    return { ...target, claim: { ...claim, mutableParameters: { ...claim.mutableParameters, ...parameters } } };
  });
  if (record === undefined) throw noVolume(formatVolumeId(id));
  crashPoint('modify-recorded');
}

function isStatic(id: VolumeId): VolumeError {
  return new VolumeError(
    'failed-precondition',
    `cannot modify ${formatVolumeId(id)}: a static volume has its parameters from the PersistentVolume that a person wrote; write a new one`,
  );
}
