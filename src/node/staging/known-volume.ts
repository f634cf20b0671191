import { VolumeError } from '../../volumes/errors.ts';
import { readAttributes, settingsOf, settingsOfVolume, type VolumeSettings } from '../../volumes/parameters.ts';
import type { ClaimRecord, PublicationRecord, TargetRecord } from '../../volumes/records.ts';
import type { Store, Versioned } from '../../volumes/store.ts';
import { parseVolumeId } from '../../volumes/volume-id.ts';
import { isOn, noVolume } from '../../volumes/volume-on-target.ts';

/** A volume as the store knows it. */
export interface KnownVolume {
  readonly volumeId: string;
  readonly address: string;
  readonly record: Versioned<TargetRecord>;
  /** Undefined for a static volume. */
  readonly claim: ClaimRecord | undefined;
}

/**
 * The volume with an id.
 * @throws VolumeError `not-found` for an id that no volume has: never given, or deleted since
 */
export async function findVolume(store: Store, volumeId: string): Promise<KnownVolume> {
  const id = parseVolumeId(volumeId);
  const record = id === undefined ? undefined : await store.targets.get(id.address);
  if (id === undefined || record === undefined || !isOn(id, record.value)) throw noVolume(volumeId, record?.value);
  return { volumeId, address: id.address, record, claim: id.claim === undefined ? undefined : record.value.claim };
}

/** The address in an id. @throws VolumeError `not-found` for a text that is no volume's id */
export function addressOf(volumeId: string): string {
  const id = parseVolumeId(volumeId);
  if (id === undefined) throw new VolumeError('not-found', `there is no volume ${volumeId}: that is no id of ours`);
  return id.address;
}

/** What the volume's parameters mean now. @param context of a static volume: the PersistentVolume's volumeAttributes */
export function settingsFor({ claim }: KnownVolume, context: Readonly<Record<string, string>>): VolumeSettings {
  if (claim !== undefined) return settingsOfVolume(claim);
  return settingsOf(readAttributes(context));
}

/**
 * That the volume may be used on this node.
 * @param epoch as the call's publish context has it; undefined when it has none
 * @throws VolumeError `failed-precondition` when it is not published here, is being taken away, or was published anew since
 */
export function publicationFor(volume: KnownVolume, nodeId: string, epoch: string | undefined): PublicationRecord {
  const found = volume.record.value.publications.find((publication) => publication.nodeId === nodeId);
  if (found === undefined || found.isLeaving === true) {
    const how = found === undefined ? 'not published there' : 'being unpublished from there';
    throw new VolumeError(
      'failed-precondition',
      `cannot use ${volume.volumeId} on node ${nodeId}: it is ${how}; call ControllerPublishVolume first`,
    );
  }
  if (epoch !== undefined && epoch !== String(found.epoch)) {
    throw new VolumeError(
      'failed-precondition',
      `cannot use ${volume.volumeId} on node ${nodeId} with epoch ${epoch}: it was published again since, with epoch ${found.epoch}; use the newer publish context`,
    );
  }
  return found;
}
