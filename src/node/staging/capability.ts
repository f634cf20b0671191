import type { VolumeCapability, VolumeCapabilityAccessModeMode } from '../../csi/messages.ts';
import { VolumeError } from '../../volumes/errors.ts';
import { FS_TYPES, isFsType } from '../format/verdict.ts';
import type { Access } from './staged-volume.ts';

/** How a caller wants to use a volume. */
export interface Usage {
  readonly access: Access;
  readonly mode: VolumeCapabilityAccessModeMode;
}

/** What an access mode means on a node. */
interface ModeRules {
  readonly isReader: boolean;
  readonly isSingleNode: boolean;
}

/** A volume on one node, or read by several. */
const MODES: Readonly<Partial<Record<VolumeCapabilityAccessModeMode, ModeRules>>> = {
  SINGLE_NODE_WRITER: { isReader: false, isSingleNode: true },
  SINGLE_NODE_SINGLE_WRITER: { isReader: false, isSingleNode: true },
  SINGLE_NODE_MULTI_WRITER: { isReader: false, isSingleNode: true },
  SINGLE_NODE_READER_ONLY: { isReader: true, isSingleNode: true },
  MULTI_NODE_READER_ONLY: { isReader: true, isSingleNode: false },
};

/** Options of mount(8) that would make another mount of it than the one that was asked for. */
const OPTIONS_REFUSED =
  /^(r?bind|move|remount|loop|offset|sizelimit|make-.*|r?shared|r?private|r?slave|r?unbindable|X-mount\..*)(=|$)/;

/**
 * Reads a volume capability.
 * @throws VolumeError `invalid-argument` for one that no volume of ours can have
 */
export function readCapability(capability: VolumeCapability | null): Usage {
  const mode = capability?.accessMode?.mode ?? 'UNKNOWN';
  const rules = MODES[mode];
  if (capability === null || rules === undefined) {
    throw invalid(`access mode ${mode}: a volume has one writing node, or any number of reading ones`);
  }
  if (capability.mount === undefined) return { access: { kind: 'block' }, mode };
  const { fsType, mountFlags, volumeMountGroup } = capability.mount;
  if (fsType !== '' && !isFsType(fsType)) throw invalid(`file system ${fsType}: use one of ${FS_TYPES.join(', ')}`);
  if (volumeMountGroup !== '') throw invalid('volume_mount_group: these file systems keep a group on each file; use fsGroup');
  const refused = mountFlags.find((flag) => OPTIONS_REFUSED.test(flag));
  if (refused !== undefined) throw invalid(`mount flag ${refused}: it would make another mount than the volume's`);
  return { access: { kind: 'mount', fsType, mountFlags }, mode };
}

/** Nobody writes in this mode. */
export function isReader(mode: string): boolean {
  return MODES[mode as VolumeCapabilityAccessModeMode]?.isReader === true;
}

/** One node at a time writes: it may keep the others out. */
export function isExclusive(mode: string): boolean {
  const rules = MODES[mode as VolumeCapabilityAccessModeMode];
  return rules?.isSingleNode === true && !rules.isReader;
}

/** Why a volume that is used in one way can't be used in another at the same place; undefined when it can. */
export function whyIncompatible(present: Usage, wanted: Usage): string | undefined {
  const [a, b] = [present.access, wanted.access];
  if (a.kind !== b.kind) return `as ${a.kind} volume, not as ${b.kind} volume`;
  if (present.mode !== wanted.mode) return `in access mode ${present.mode}, not ${wanted.mode}`;
  if (a.kind === 'block' || b.kind === 'block') return undefined;
  if (a.fsType !== b.fsType) return `with file system '${a.fsType}', not '${b.fsType}'`;
  const [flags, others] = [a.mountFlags.toSorted().join(','), b.mountFlags.toSorted().join(',')];
  return flags === others ? undefined : `with mount flags '${flags}', not '${others}'`;
}

function invalid(what: string): VolumeError {
  return new VolumeError('invalid-argument', `cannot offer ${what}`);
}
