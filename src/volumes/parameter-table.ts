import { SHELF_MAX, SLOT_MAX } from '../aoe/constants.ts';
import { MAX_OUTSTANDING_DEFAULT, MAX_OUTSTANDING_LIMIT } from '../aoe/limits.ts';
import { parseInterfacePatterns, type InterfacePatterns } from './interface-patterns.ts';
import { formatRanges, parseRanges, type NumberRanges } from './number-ranges.ts';
import { listPattern, oneOf, wasteLimit, wholeNumber, type ParameterSyntax } from './parameter-values.ts';
import { FENCING_LEVELS } from './records.ts';

/** Where a parameter may stand. */
export type ParameterPlace =
  /** `parameters` of a StorageClass: CreateVolume. */
  | 'StorageClass'
  /** `parameters` of a VolumeAttributesClass: CreateVolume and ControllerModifyVolume. */
  | 'VolumeAttributesClass'
  /** `volumeAttributes` of a PersistentVolume that a person wrote (a static volume): publish and stage. */
  | 'PersistentVolume';

/** One parameter: what the reader, the documentation, the chart's schema and the messages know of it. */
export interface Parameter<T> extends ParameterSyntax<T> {
  readonly name: string;
  /** What it does, in one or two sentences. */
  readonly doc: string;
  /** Value where it is not given, as a person would write it. */
  readonly byDefault: string;
  readonly places: readonly ParameterPlace[];
}

/** A volume held for a year is held for ever. */
const DEAD_SECONDS_MAX = 31_536_000;
const FS_TYPES = ['ext4', 'xfs', 'btrfs'] as const;

const DYNAMIC = ['StorageClass'] as const;
const DYNAMIC_AND_STATIC = ['StorageClass', 'PersistentVolume'] as const;
const EVERYWHERE = ['StorageClass', 'VolumeAttributesClass', 'PersistentVolume'] as const;

/** All parameters there are, in the order of the documentation, under the names that code uses. */
export const PARAMETERS = {
  interfaces: parameter<InterfacePatterns>({
    name: 'interfaces',
    doc:
      'Network interfaces that may carry the volume’s traffic, of those that the node allows: names or patterns with `*` and `?`, ' +
      'with commas between. Empty means all that the node allows.',
    byDefault: '',
    places: EVERYWHERE,
    expected: 'interface names or patterns of 1 to 15 characters with commas between, like eth1,san*',
    schema: { pattern: String.raw`^\s*$|${listPattern(String.raw`[^\s/:,]{1,15}`)}` },
    read: parseInterfacePatterns,
    write: (patterns) => patterns.join(','),
  }),
  shelves: parameter<NumberRanges>({
    name: 'shelves',
    doc: 'Shelves whose targets may be taken.',
    byDefault: `0-${SHELF_MAX}`,
    places: DYNAMIC,
    ...ranges(SHELF_MAX),
  }),
  slots: parameter<NumberRanges>({
    name: 'slots',
    doc: 'Slots, of these shelves, whose targets may be taken.',
    byDefault: `0-${SLOT_MAX}`,
    places: DYNAMIC,
    ...ranges(SLOT_MAX),
  }),
  maxWaste: parameter({
    name: 'maxWaste',
    doc:
      'The most of a target that may lie idle: a volume always takes a whole target. With `50%`, a claim of 100 GiB takes a target ' +
      'of at most 200 GiB.',
    byDefault: '100%',
    places: DYNAMIC,
    ...wasteLimit,
  }),
  fencing: parameter({
    name: 'fencing',
    doc:
      'The least that a target must be able to do to keep a node out that has lost the volume: refuse its I/O (`reserve`), show who ' +
      'owns it (`claim`), or nothing (`none`).',
    byDefault: 'claim',
    places: DYNAMIC_AND_STATIC,
    ...oneOf(FENCING_LEVELS),
  }),
  wipe: parameter({
    name: 'wipe',
    doc:
      'What happens to the data when the volume is deleted: what a file system or partition table is recognized by is zeroed ' +
      '(`headers`), all of it is zeroed (`zero`), or trimmed where the target can (`discard`), or it stays (`none`): no new ' +
      'volume is used on that target then before a person has cleared its disk.',
    byDefault: 'headers',
    places: DYNAMIC,
    ...oneOf(['headers', 'discard', 'zero', 'none'] as const),
  }),
  deadSeconds: parameter({
    name: 'deadSeconds',
    doc: 'I/O that is held because the target is silent fails after so many seconds. 0 holds it until the target is back.',
    byDefault: '0',
    places: EVERYWHERE,
    ...wholeNumber(0, DEAD_SECONDS_MAX),
  }),
  maxOutstanding: parameter({
    name: 'maxOutstanding',
    doc: 'Frames that may be unanswered at a time. Less spares a weak target or network.',
    byDefault: String(MAX_OUTSTANDING_DEFAULT),
    places: EVERYWHERE,
    ...wholeNumber(1, MAX_OUTSTANDING_LIMIT),
  }),
  fsType: parameter({
    name: 'csi.storage.k8s.io/fstype',
    doc: 'File system that an empty volume gets. Kubernetes passes it on by other means, other orchestrators as this parameter.',
    byDefault: 'ext4',
    places: DYNAMIC_AND_STATIC,
    ...oneOf(FS_TYPES),
  }),
  format: parameter({
    name: 'format',
    doc:
      'Whether a static volume may get a file system: only if nothing at all is found on it (`blank`), or `never`. Other volumes ' +
      'get theirs once.',
    byDefault: 'never',
    places: ['PersistentVolume'],
    ...oneOf(['never', 'blank'] as const),
  }),
  claim: parameter({
    name: 'claim',
    doc:
      'Whether a static volume claims its target when it is first published: then neither new volumes nor other clusters take it, ' +
      'until it is released. Otherwise keep its shelf or slot out of the StorageClasses.',
    byDefault: 'no',
    places: ['PersistentVolume'],
    ...oneOf(['no', 'yes'] as const),
  }),
};

/** What happens to the data of a deleted volume. */
export type WipePolicy = NonNullable<ReturnType<typeof PARAMETERS.wipe.read>>;

/** What the provisioner and the resizer add to parameters when told to (`--extra-create-metadata`), and what it is. */
export const METADATA: ReadonlyMap<string, string> = new Map([
  ['csi.storage.k8s.io/pvc/name', 'name of the PersistentVolumeClaim'],
  ['csi.storage.k8s.io/pvc/namespace', 'namespace of the PersistentVolumeClaim'],
  ['csi.storage.k8s.io/pv/name', 'name of the PersistentVolume'],
]);

function parameter<T>(definition: Parameter<T>): Parameter<T> {
  return definition;
}

function ranges(max: number): ParameterSyntax<NumberRanges> {
  return {
    expected: `numbers or ranges from 0 to ${max} with commas between, like 1-4,7`,
    schema: { pattern: listPattern(String.raw`\d{1,6}(-\d{1,6})?`) },
    read: (text) => parseRanges(text, max),
    write: formatRanges,
  };
}
