/**
 * The specs of csi-sanity 5.6.0 that may skip themselves, by the reason they give: what AoE has not, and one that its authors have
 * switched off. No other spec may be skipped.
 */
export const SANITY_SKIPS: Readonly<Record<string, readonly string[]>> = {
  'snapshots: AoE has none': [
    '[It] Controller Service [Controller Server] CreateVolume should create volume from an existing source snapshot',
    '[It] Controller Service [Controller Server] CreateVolume should fail when the volume source snapshot is not found',
    '[It] CreateSnapshot [Controller Server] should fail when no name is provided',
    '[It] CreateSnapshot [Controller Server] should fail when no source volume id is provided',
    '[It] CreateSnapshot [Controller Server] should fail when requesting to create a snapshot with already existing name and different source volume ID',
    '[It] CreateSnapshot [Controller Server] should succeed when creating a snapshot with accessibility requirements',
    '[It] CreateSnapshot [Controller Server] should succeed when creating snapshot with maximum-length name',
    '[It] CreateSnapshot [Controller Server] should succeed when requesting to create a snapshot with already existing name and same source volume ID',
    '[It] DeleteSnapshot [Controller Server] should fail when no snapshot id is provided',
    '[It] DeleteSnapshot [Controller Server] should return appropriate values (no optional values added)',
    '[It] DeleteSnapshot [Controller Server] should succeed when an invalid snapshot id is used',
    '[It] GetSnapshot [Controller Server] should return an error',
    '[It] GetSnapshot [Controller Server] should return an error when the specified snapshot id does not exist',
    '[It] GetSnapshot [Controller Server] should return snapshot that match the specified snapshot id',
    '[It] ListSnapshots [Controller Server] check the presence of new snapshots in the snapshot list',
    '[It] ListSnapshots [Controller Server] should return appropriate values (no optional values added)',
    '[It] ListSnapshots [Controller Server] should return empty when the specified snapshot id does not exist',
    '[It] ListSnapshots [Controller Server] should return empty when the specified source volume id does not exist',
    '[It] ListSnapshots [Controller Server] should return next token when a limited number of entries are requested',
    '[It] ListSnapshots [Controller Server] should return snapshots that match the specified snapshot id',
    '[It] ListSnapshots [Controller Server] should return snapshots that match the specified source volume id',
  ],
  'clones: AoE has none': [
    '[It] Controller Service [Controller Server] CreateVolume should create volume from an existing source volume',
    '[It] Controller Service [Controller Server] CreateVolume should fail when the volume source volume is not found',
  ],
  'snapshots of groups: AoE has none': [
    '[It] GroupController Service [GroupController Server] GroupControllerGetCapabilities should return appropriate capabilities',
    '[It] GroupController Service [GroupController VolumeGroupSnapshots] CreateVolumeGroupSnapshot should fail when no name is provided',
    '[It] GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should fail when no volume id is provided',
    '[It] GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should succeed when an invalid volume id is used',
    '[It] GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when an invalid volume id is used',
    '[It] GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when no volume id is provided',
  ],
  'pending in csi-sanity itself': [
    '[It] Controller Service [Controller Server] ListVolumes pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted',
  ],
};

/** Sorted, as sanitySkips() gives them. */
export const SANITY_SKIP_NAMES: readonly string[] = Object.values(SANITY_SKIPS).flat().sort();
