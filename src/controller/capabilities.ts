import type { ControllerServiceCapabilityRPCType, VolumeCapability, VolumeCapabilityAccessModeMode } from '../csi/messages.ts';
import { VolumeError } from '../volumes/errors.ts';
import { PARAMETERS } from '../volumes/parameter-table.ts';

/** What ControllerGetCapabilities says. No snapshots and no clones: AoE has none. */
export const CONTROLLER_CAPABILITIES: readonly ControllerServiceCapabilityRPCType[] = [
  'CREATE_DELETE_VOLUME',
  'PUBLISH_UNPUBLISH_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'PUBLISH_READONLY',
  'EXPAND_VOLUME',
  'LIST_VOLUMES_PUBLISHED_NODES',
  'GET_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'MODIFY_VOLUME',
  'GET_VOLUME_HEALTH',
  'LIST_VOLUME_HEALTH',
];

export type AccessMode = VolumeCapabilityAccessModeMode;

/** A volume on one node, or read by several. File systems that several nodes write to at a time are not what this driver makes. */
const SUPPORTED_MODES: ReadonlySet<AccessMode> = new Set<AccessMode>([
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
  'MULTI_NODE_READER_ONLY',
]);

/** Modes in which nobody writes. */
export function isReaderMode(mode: AccessMode): boolean {
  return mode === 'SINGLE_NODE_READER_ONLY' || mode === 'MULTI_NODE_READER_ONLY';
}

/** Modes in which several nodes may have the volume. */
export function isMultiNodeMode(mode: AccessMode): boolean {
  return mode === 'MULTI_NODE_READER_ONLY';
}

export function accessModeOf({ accessMode }: VolumeCapability): AccessMode {
  return accessMode?.mode ?? 'UNKNOWN';
}

/** Why a volume can't be used like this; undefined when it can. */
export function capabilityProblem(capability: VolumeCapability): string | undefined {
  const mode = accessModeOf(capability);
  if (!SUPPORTED_MODES.has(mode)) {
    return `access mode ${mode} is not supported: a volume has one writing node, or any number of reading ones`;
  }
  const { mount } = capability;
  if (mount === undefined) return undefined;
  if (mount.fsType !== '' && PARAMETERS.fsType.read(mount.fsType) === undefined) {
    return `file system '${mount.fsType}' is not supported: expected ${PARAMETERS.fsType.expected}`;
  }
  if (mount.volumeMountGroup !== '') return 'volume_mount_group is not supported: leave ownership to fsGroup';
  return undefined;
}

/** @throws VolumeError `invalid-argument` when any of them is not supported */
export function requireCapabilities(capabilities: readonly VolumeCapability[]): void {
  for (const capability of capabilities) {
    const problem = capabilityProblem(capability);
    if (problem !== undefined) throw new VolumeError('invalid-argument', `cannot use the volume so: ${problem}`);
  }
}
