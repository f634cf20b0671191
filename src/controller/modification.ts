import { VolumeError } from '../volumes/errors.ts';
import { interfaceFilter } from '../volumes/interface-patterns.ts';
import { PARAMETERS } from '../volumes/parameter-table.ts';
import type { VolumeParameters } from '../volumes/records.ts';
import { change, type Store } from '../volumes/store.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { isOn, noVolume } from '../volumes/volume-on-target.ts';
import { crashPoint } from './crash-points.ts';
import { volumeOf } from './find-volume.ts';

/**
 * Changes what may change of a volume while it is used: in one write, so all of it or nothing. The node that has it staged reads it
 * in the record and applies it without detaching.
 * @param parameters checked (parameters.ts)
 * @throws VolumeError `not-found`; `failed-precondition` for a static volume; `invalid-argument` for interfaces that a node which has
 * the volume has not
 */
export async function modifyVolume(store: Store, id: VolumeId, parameters: VolumeParameters): Promise<void> {
  await requireInterfaces(store, id, parameters);
  const record = await change(store.targets, id.address, (target) => {
    const { claim } = volumeOf(id, target);
    if (claim === undefined) throw isStatic(id);
    const isSame = Object.entries(parameters).every(([name, value]) => claim.mutableParameters[name] === value);
    if (isSame) return undefined;
    return { ...target, claim: { ...claim, mutableParameters: { ...claim.mutableParameters, ...parameters } } };
  });
  if (record === undefined) throw noVolume(formatVolumeId(id), undefined);
  crashPoint('modify-recorded');
}

/** The node could not apply it, and nobody would be told. */
async function requireInterfaces(store: Store, id: VolumeId, parameters: VolumeParameters): Promise<void> {
  const text = parameters[PARAMETERS.interfaces.name];
  if (text === undefined) return;
  const isAllowed = interfaceFilter(PARAMETERS.interfaces.read(text) ?? []);
  const target = (await store.targets.get(id.address))?.value;
  for (const { nodeId } of target !== undefined && isOn(id, target) ? target.publications : []) {
    const interfaces = (await store.nodes.get(nodeId))?.value.interfaces ?? [];
    if (interfaces.length === 0 || interfaces.some(isAllowed)) continue;
    throw new VolumeError(
      'invalid-argument',
      `cannot modify ${formatVolumeId(id)}: its parameter interfaces would allow ${text}, and node ${nodeId}, to which it is published, ` +
        `has ${interfaces.join(', ')}; let them have an interface in common`,
    );
  }
}

function isStatic(id: VolumeId): VolumeError {
  return new VolumeError(
    'failed-precondition',
    `cannot modify ${formatVolumeId(id)}: a static volume has its parameters from the PersistentVolume that a person wrote; write a new one`,
  );
}
