import { VolumeError } from '../../volumes/errors.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import { run, runWell } from '../kernel/run.ts';
import { probedRanges } from './places.ts';
import { readDevice } from './read-device.ts';

/** What is on a device. That something could not be read is none of these, but an error. */
export type Probe =
  /** Nothing: no program knows a mark on it, and all places where one could be are zero. */
  | { readonly kind: 'blank' }
  /** A mark that is known. */
  | { readonly kind: 'signature'; readonly signature: Signature }
  /** Several marks that contradict each other, e.g. a RAID member that is also a file system. */
  | { readonly kind: 'ambiguous'; readonly what: string }
  /** Bytes that nobody knows. */
  | { readonly kind: 'data'; readonly atBytes: number };

export interface Signature {
  /** As blkid names it: ext4, xfs, btrfs, LVM2_member, linux_raid_member, crypto_LUKS, swap, zfs_member, gpt, dos … */
  readonly type: string;
  /** filesystem, raid, crypto, other; empty for a partition table. */
  readonly usage: string;
  /** Lower case; empty where it has none. */
  readonly uuid: string;
  readonly label: string;
}

const PROBE_MS = 120_000;
/** Exit codes of blkid(8) with --probe. */
const FOUND = 0;
const NOTHING_FOUND = 2;
const AMBIGUOUS = 8;

/**
 * Looks at a device with three pairs of eyes: blkid, wipefs (which also sees marks that blkid ranks lower), and a check of our own
 * that all places for marks are zero.
 * @throws VolumeError `unavailable` when anything could not be read or run
 */
export async function probeDevice(device: BlockDevice): Promise<Probe> {
  const found = await blkid(device);
  if (found !== undefined) return found;
  const other = await wipefs(device);
  if (other !== undefined) return { kind: 'signature', signature: other };
  const atBytes = await firstData(device);
  return atBytes === undefined ? { kind: 'blank' } : { kind: 'data', atBytes };
}

async function blkid({ path }: BlockDevice): Promise<Probe | undefined> {
  const ended = await attempt(path, () => run('blkid', ['--probe', '--output', 'export', path], { timeoutMs: PROBE_MS }));
  if (ended.code === NOTHING_FOUND && ended.stderr === '') return undefined;
  if (ended.code === AMBIGUOUS) return { kind: 'ambiguous', what: ended.stderr };
  const values = parseExport(ended.stdout.toString('utf8'));
  const type = values.get('TYPE') ?? values.get('PTTYPE');
  if (ended.code !== FOUND || type === undefined) {
    throw new VolumeError(
      'unavailable',
      `cannot tell what is on ${path}: blkid ended with exit code ${ended.code} and said '${ended.stderr}'; nothing is done to it`,
    );
  }
  const uuid = (values.get('UUID') ?? values.get('PTUUID') ?? '').toLowerCase();
  const signature = { type, usage: values.get('USAGE') ?? '', uuid, label: values.get('LABEL') ?? '' };
  return { kind: 'signature', signature };
}

/** `NAME=value` on each line; a backslash stands before what a shell would act on. */
export function parseExport(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).replaceAll(/\\(.)/g, '$1'));
  }
  return values;
}

async function wipefs({ path }: BlockDevice): Promise<Signature | undefined> {
  const words = ['--no-act', '--noheadings', '--parsable', path];
  const { stdout } = await attempt(path, () => runWell('wipefs', words, { timeoutMs: PROBE_MS }));
  // offset,uuid,label,type
  const line = stdout
    .toString('utf8')
    .split('\n')
    .find((text) => text !== '' && !text.startsWith('#'));
  if (line === undefined) return undefined;
  const [, uuid = '', label = '', type = 'unknown'] = line.split(',');
  return { type, usage: '', uuid: uuid.toLowerCase(), label };
}

/** Where the first byte is that is not zero, as far as is looked; undefined when there is none. */
async function firstData(device: BlockDevice): Promise<number | undefined> {
  for (const range of probedRanges(device.sizeBytes)) {
    const bytes = await readDevice(device, range);
    const at = bytes.findIndex((byte) => byte !== 0);
    if (at >= 0) return range.startBytes + at;
  }
  return undefined;
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new VolumeError('unavailable', `cannot tell what is on ${path}: ${(error as Error).message}; nothing is done to it`);
  }
}

/** For messages. */
export function describeProbe(probe: Probe): string {
  switch (probe.kind) {
    case 'blank':
      return 'nothing at all';
    case 'data':
      return `data of an unknown kind (first at byte ${probe.atBytes})`;
    case 'ambiguous':
      return `contradictory signatures (${probe.what})`;
    case 'signature': {
      const { type, uuid, label } = probe.signature;
      return [type, ...(uuid === '' ? [] : [`UUID ${uuid}`]), ...(label === '' ? [] : [`label '${label}'`])].join(', ');
    }
  }
}
