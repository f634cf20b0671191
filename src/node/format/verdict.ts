import type { FormatRecord } from '../../volumes/records.ts';
import { describeProbe, type Probe, type Signature } from './probe.ts';

/** What is known of a volume before it is mounted. */
export interface FormatFacts {
  readonly record: FormatRecord;
  /** Nobody recorded anything about this volume's past: it was entered by a person. */
  readonly isStatic: boolean;
  /** A static volume's class allows formatting what is blank. */
  readonly mayFormatStatic: boolean;
  /** Nothing may be written. */
  readonly readOnly: boolean;
  /** File system that is wanted; empty: whatever is there, else the default. */
  readonly fsType: string;
  /** The default of the volume's class. */
  readonly fsTypeDefault: string;
  readonly probe: Probe;
  /** What is on the disk is the beginning of our own mkfs with the recorded UUID. */
  readonly isOurBeginning: boolean;
}

export type FormatVerdict =
  /** Mount it. */
  | { readonly action: 'mount'; readonly fsType: string; readonly uuid: string }
  /** A mkfs of ours was finished, but nobody wrote that down: do so, and mount it. */
  | { readonly action: 'confirm'; readonly fsType: string; readonly uuid: string }
  /** Make a file system; `uuid` is the recorded one, or undefined for a new one. */
  | { readonly action: 'format'; readonly fsType: string; readonly uuid: string | undefined; readonly again: boolean }
  /** Hands off; `why` names the facts and what to do. */
  | { readonly action: 'refuse'; readonly why: string };

/** File systems that can be made, checked and grown here. */
export const FS_TYPES = ['ext4', 'xfs', 'btrfs'] as const;
export type FsType = (typeof FS_TYPES)[number];

/** FormatRecord.fsType of a volume that was given out as a raw device: what is on it is its user's. */
export const RAW = 'raw';

/**
 * The decision that may destroy data, as a pure function of all facts. A disk is formatted only when the record says that it never
 * was, and it is blank to every eye, and it may be written; or when a crash left our own mkfs unfinished. All else is refused.
 */
export function formatVerdict(facts: FormatFacts): FormatVerdict {
  const { record, isStatic, probe } = facts;
  if (isStatic) return staticVerdict(facts);
  if (record.state === 'growing' && facts.readOnly) {
    return refuse(facts, 'its file system was growing when its node died, and is no whole one; use it for writing first');
  }
  if (record.state === 'formatted' || record.state === 'growing') return formattedVerdict(facts);
  if (record.state === 'formatting') return formattingVerdict(facts);
  if (probe.kind === 'blank') return format(facts, undefined);
  return refuse(
    facts,
    'this volume was never given a file system, so what is there belongs to somebody else; wipe the target if nobody needs it',
  );
}

function staticVerdict(facts: FormatFacts): FormatVerdict {
  const { probe, mayFormatStatic } = facts;
  if (probe.kind === 'signature') return mount(facts, probe.signature);
  if (probe.kind === 'blank' && mayFormatStatic) return format(facts, undefined);
  const advice =
    probe.kind === 'blank' ? 'make a file system on it, or set format: blank in its volumeAttributes' : 'look at it by hand';
  return refuse(facts, `a static volume is mounted as it is; ${advice}`);
}

function formattedVerdict(facts: FormatFacts): FormatVerdict {
  const { record, probe } = facts;
  const isRaw = record.fsType === RAW;
  if (probe.kind === 'signature' && (isRaw || probe.signature.uuid === record.uuid)) return mount(facts, probe.signature);
  const past = isRaw
    ? 'it was given out as a raw device before'
    : `it has been formatted with ${record.fsType}, UUID ${record.uuid}`;
  const advice = isRaw
    ? 'whoever used it so has to make a file system on it'
    : 'its target may have been replaced, rolled back or overwritten; bring the right disk back, or restore a backup to it';
  return refuse(facts, `${past}; ${advice}. It is never formatted again`);
}

function formattingVerdict(facts: FormatFacts): FormatVerdict {
  const { record, probe, isOurBeginning } = facts;
  // A mark of another kind came later: somebody else has used the disk since.
  const isForeign = probe.kind === 'ambiguous' || (probe.kind === 'signature' && probe.signature.uuid !== record.uuid);
  if (isOurBeginning && !isForeign) return format(facts, record);
  if (probe.kind === 'signature' && probe.signature.uuid === record.uuid) {
    const verdict = mount(facts, probe.signature);
    return verdict.action === 'mount' ? { ...verdict, action: 'confirm' } : verdict;
  }
  if (probe.kind === 'blank') return format(facts, record);
  return refuse(
    facts,
    `a format with ${record.fsType}, UUID ${record.uuid}, was begun and not ended, and this is not its result; wipe the target if nobody needs what is there`,
  );
}

function mount(facts: FormatFacts, { type, uuid }: Signature): FormatVerdict {
  if (!isFsType(type))
    return refuse(facts, `only ${FS_TYPES.join(', ')} can be mounted; use the volume as a block device, or wipe it`);
  if (facts.fsType !== '' && facts.fsType !== type) {
    return refuse(facts, `${facts.fsType} is wanted; ask for ${type}, or use another volume`);
  }
  return { action: 'mount', fsType: type, uuid };
}

function format(facts: FormatFacts, begun: FormatRecord | undefined): FormatVerdict {
  if (facts.readOnly) return refuse(facts, 'it has no file system yet and can only be read; use it for writing first');
  if (begun !== undefined && facts.fsType !== '' && facts.fsType !== begun.fsType) {
    return refuse(facts, `${facts.fsType} is wanted, but a format with ${begun.fsType} was begun; ask for ${begun.fsType}`);
  }
  const fsType = begun?.fsType ?? (facts.fsType === '' ? facts.fsTypeDefault : facts.fsType);
  return { action: 'format', fsType, uuid: begun?.uuid, again: facts.isOurBeginning };
}

function refuse({ probe }: FormatFacts, why: string): FormatVerdict {
  return { action: 'refuse', why: `found ${describeProbe(probe)}; ${why}` };
}

export function isFsType(text: string): text is FsType {
  return (FS_TYPES as readonly string[]).includes(text);
}
