import { isTargetAddress } from './addresses.ts';
import { ownershipOf, staticClaimOf } from './claim.ts';
import { FENCING_UNKNOWN, weakerFencing } from './fencing.ts';
import type { ClaimRecord, DiskIdentity, FencingLevel, NodeRecord, SightRecord, TargetRecord } from './records.ts';

/** One node's sight of a target. */
export interface Sighting {
  readonly nodeId: string;
  readonly sight: SightRecord;
}

/** What all nodes together say of a target that at least one sees. */
interface Consensus {
  readonly identity: DiskIdentity;
  /** The least that a node has found out; undefined while none has. */
  readonly fencing: FencingLevel | undefined;
  /** The config string of the nodes that see one: another node has not looked again since it was set. */
  readonly configString: string;
  /** Some see that string, and the others none. */
  readonly isDisputed: boolean;
  /** Why they can't all mean the same target; empty when they can. */
  readonly conflict: string;
}

/** The reason of a Claimed target that carries no claim any more: software targets forget it when they restart. */
export const FORGOTTEN = 'the target has forgotten its claim';

const NOT_SEEN = 'no live node sees it';

/** All sights, by target. Texts that are no address are left out: they come from outside. */
export function sightingsByAddress(nodes: readonly NodeRecord[]): ReadonlyMap<string, readonly Sighting[]> {
  const sightings = new Map<string, Sighting[]>([...addressesSeen(nodes)].map((address) => [address, []]));
  for (const { nodeId, targets } of nodes) {
    for (const [address, sight] of Object.entries(targets)) sightings.get(address)?.push({ nodeId, sight });
  }
  return sightings;
}

/** All targets that nodes see. Texts that are no address are left out: they come from outside. */
export function addressesSeen(nodes: readonly NodeRecord[]): ReadonlySet<string> {
  const seen = new Set<string>();
  for (const { targets } of nodes) for (const address of Object.keys(targets)) seen.add(address);
  return new Set([...seen].filter(isTargetAddress));
}

/**
 * What a target's record ought to be by what is seen of it now; undefined to leave things as they are.
 *
 * ```
 *  (none) ──seen──► Available ◄──string gone── Foreign        Available: the config string is empty
 *                       │  └──other's string──►  │            Foreign:   it is not, or nodes see different disks there
 *                       └───────► Missing ◄──────┘            Missing:   no live node sees it
 * ```
 *
 * Static is what carries the claim of its static volume, and stays so until a person releases it: when the target has forgotten that
 * or is not seen, and while something is wrong with it, which is told in `reason`.
 *
 * Claimed, Released and Wiping are left by operations on the volume only. While Claimed, what is wrong with the target is told in
 * `reason`, and a disk that has grown is noted; another disk never takes the place of the one that a volume is on.
 *
 * @param record as it is, undefined when there is none
 * @param nodes that are alive, at least one: of what silent ones see nothing is known
 */
export function nextTarget(
  address: string,
  record: TargetRecord | undefined,
  nodes: readonly NodeRecord[],
  clusterId: string,
): TargetRecord | undefined {
  const seen = consensus(address, nodes);
  const next = successor(address, record, seen, clusterId);
  return next === undefined || isUnchanged(record, next) ? undefined : next;
}

function successor(
  address: string,
  record: TargetRecord | undefined,
  seen: Consensus | undefined,
  clusterId: string,
): TargetRecord | undefined {
  if (record?.state === 'Released' || record?.state === 'Wiping') return undefined;
  if (record?.state === 'Claimed') return whileClaimed(record, seen, clusterId);
  if (record?.state === 'Static') return whileStatic(record, seen, clusterId);
  if (seen === undefined) return record && { ...record, state: 'Missing', reason: NOT_SEEN };
  const { publications, task } = record ?? { publications: [], task: undefined };
  // A static volume has no claim, but while it is published it is on one disk and no other.
  const replaced = record === undefined || publications.length === 0 ? '' : whyAnother(record.identity, seen.identity);
  const identity = record !== undefined && replaced !== '' ? record.identity : seen.identity;
  const isPast = isRemembered(record, seen, clusterId);
  const isClaimed = !isPast && isStaticClaim(seen.configString, address, clusterId);
  const reason = seen.conflict || replaced || (isPast || isClaimed ? '' : whyForeign(seen.configString, clusterId));
  const free = isClaimed ? 'Static' : 'Available';
  const state = reason === '' ? free : 'Foreign';
  return { address, state, reason, identity, fencing: fencingOf(identity, record, seen), claim: undefined, publications, task };
}

/** A node that has not asked the target yet, because it has just started, is no reason to forget what is known of the disk. */
function fencingOf(identity: DiskIdentity, record: TargetRecord | undefined, { fencing }: Consensus): FencingLevel {
  const recorded = record !== undefined && isSameDisk(record.identity, identity) ? record.fencing : FENCING_UNKNOWN;
  return fencing ?? recorded;
}

/**
 * A claim of ours that is not on the target any more: the node that has freed it has looked again, others will within a minute. Should
 * it be there all the same, whoever takes the target for a volume finds it: a claim is only written where there is none.
 */
function isRemembered(record: TargetRecord | undefined, { isDisputed, configString }: Consensus, clusterId: string): boolean {
  return record?.state === 'Available' && isDisputed && ownershipOf(configString, clusterId).kind === 'ours';
}

function isStaticClaim(configString: string, address: string, clusterId: string): boolean {
  const owner = ownershipOf(configString, clusterId);
  return owner.kind === 'ours' && owner.claim === staticClaimOf(clusterId, address);
}

function whyForeign(configString: string, clusterId: string): string {
  const owner = ownershipOf(configString, clusterId);
  if (owner.kind === 'empty') return '';
  if (owner.kind === 'foreign') return `claimed by ${owner.owner}`;
  return `claimed by this cluster (claim ${owner.claim}), but no such volume is known; if nobody needs it, give it back: aoe-csi release`;
}

function whileClaimed(record: TargetRecord, seen: Consensus | undefined, clusterId: string): TargetRecord {
  const { identity, claim } = record;
  if (seen === undefined) return { ...record, reason: NOT_SEEN };
  const objection = seen.conflict || whyAnother(identity, seen.identity);
  if (objection !== '') return { ...record, reason: objection };
  const reason = claim === undefined ? '' : whyNotOurs(claim, seen.configString, clusterId);
  return { ...record, identity: seen.identity, fencing: fencingOf(seen.identity, record, seen), reason };
}

/** Until a person releases it: whatever is wrong passes, and then its target may have forgotten that it is not free. */
function whileStatic(record: TargetRecord, seen: Consensus | undefined, clusterId: string): TargetRecord {
  if (seen === undefined) return { ...record, reason: NOT_SEEN };
  // While it is published it is on one disk and no other.
  const replaced = record.publications.length === 0 ? '' : whyAnother(record.identity, seen.identity);
  const objection = seen.conflict || replaced;
  if (objection !== '') return { ...record, reason: objection };
  const isOurs = isStaticClaim(seen.configString, record.address, clusterId);
  const reason = isOurs ? '' : whyForeign(seen.configString, clusterId);
  return { ...record, identity: seen.identity, fencing: fencingOf(seen.identity, record, seen), reason };
}

/** Which disk nodes see at an address, and why they can't all mean the same one. */
export function seenIdentity(
  address: string,
  nodes: readonly NodeRecord[],
): { readonly identity: DiskIdentity | undefined; readonly conflict: string } {
  const { identity, conflict = '' } = consensus(address, nodes) ?? {};
  return { identity, conflict };
}

/** Why the disk that is seen can't be the one that a volume is on; empty when it can. A disk may grow. */
export function whyAnother(known: DiskIdentity, seen: DiskIdentity): string {
  const isSame = isSameDisk(known, seen);
  if (isSame && seen.sizeBytes >= known.sizeBytes) return '';
  const what = isSame ? 'the disk has shrunk' : 'another disk is at this address';
  return `${what}: the volume is on ${describe(known)}; seen is ${describe(seen)}`;
}

/** What the target's config string says against its claim; it need not be there before the claim is confirmed. */
function whyNotOurs({ claim, confirmed }: ClaimRecord, configString: string, clusterId: string): string {
  const owner = ownershipOf(configString, clusterId);
  if (owner.kind === 'empty') return confirmed ? FORGOTTEN : '';
  if (owner.kind === 'foreign') return `the target is claimed by ${owner.owner}`;
  return owner.claim === claim ? '' : `the target is claimed for another volume of this cluster (claim ${owner.claim})`;
}

/** A thousand nodes may see four thousand targets each: nothing is allocated for one sight. */
function consensus(address: string, nodes: readonly NodeRecord[]): Consensus | undefined {
  const first = nodes.find(({ targets }) => targets[address] !== undefined);
  if (first === undefined) return undefined;
  let { identity, configString } = first.targets[address];
  let fencing: FencingLevel | undefined;
  let conflict = '';
  let [isNoneSeen, isOtherSeen] = [false, false];
  for (const node of nodes) {
    const sight = node.targets[address];
    if (sight === undefined) continue;
    const isSame = isSameDisk(sight.identity, identity);
    if (!isSame && conflict === '') conflict = twoDisks(address, first, node);
    // What all of them have: a volume may be used from any node.
    if (isSame && sight.identity.sizeBytes < identity.sizeBytes) identity = sight.identity;
    if (sight.isFencingUnknown !== true) fencing = weakerFencing(fencing ?? sight.fencing, sight.fencing);
    if (configString === '') configString = sight.configString;
    if (sight.configString === '') isNoneSeen = true;
    else if (sight.configString !== configString) isOtherSeen = true;
  }
  return { identity, fencing, configString, isDisputed: isNoneSeen && !isOtherSeen, conflict };
}

function twoDisks(address: string, a: NodeRecord, b: NodeRecord): string {
  const [one, other] = [a, b].map(({ nodeId, targets }) => `node ${nodeId} sees ${describe(targets[address].identity)}`);
  return `two disks share the address ${address}: ${one}, ${other}; give one of them another address`;
}

function isSameDisk(a: DiskIdentity, b: DiskIdentity): boolean {
  return a.serial === b.serial && a.model === b.model;
}

function describe({ serial, model, sizeBytes }: DiskIdentity): string {
  return `serial '${serial}', model '${model}', ${sizeBytes} bytes`;
}

/** Whether what nextTarget decides about is equal. */
function isUnchanged(record: TargetRecord | undefined, next: TargetRecord): boolean {
  return (
    record !== undefined &&
    record.state === next.state &&
    record.reason === next.reason &&
    record.fencing === next.fencing &&
    isSameDisk(record.identity, next.identity) &&
    record.identity.sizeBytes === next.identity.sizeBytes
  );
}
