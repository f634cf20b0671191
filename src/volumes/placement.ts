import { parseTargetAddress } from '../aoe/address.ts';
import { compareAddresses } from './addresses.ts';
import { grantedBytes, type CapacityRange } from './capacity.ts';
import { meetsFencing } from './fencing.ts';
import { rangesInclude } from './number-ranges.ts';
import { wasteBytesMax } from './parameter-values.ts';
import type { VolumeSettings } from './parameters.ts';
import { Reach } from './reach.ts';
import type { NodeRecord, TargetRecord } from './records.ts';
import type { TopologyRequirement } from './topology.ts';

/** What a new volume asks of its target. */
export interface PlacementRequest {
  readonly range: CapacityRange;
  readonly settings: Pick<VolumeSettings, 'shelves' | 'slots' | 'maxWaste' | 'fencing' | 'interfaces'>;
  readonly topology: TopologyRequirement;
}

/** A free target that fulfils everything. */
export interface Candidate {
  readonly target: TargetRecord;
  /** Size that the volume would get. */
  readonly grantedBytes: number;
  /** What would lie idle of the target. */
  readonly wasteBytes: number;
  /** Place in the list of preferred topologies: 0 is best; their number when it is in none of them. */
  readonly preference: number;
}

/**
 * The tests a target must pass, in this order: first what it is, then how it is now. The texts follow a number of targets.
 */
export const REJECTIONS = {
  shelf: 'on other shelves',
  slot: 'in other slots',
  size: 'too small',
  waste: 'larger than maxWaste allows',
  fencing: 'without the fencing level demanded',
  foreign: 'claimed by somebody else',
  taken: 'taken, or not wiped yet',
  unseen: 'not seen by any live node',
  topology: 'not seen from where the volume is wanted',
  interfaces: 'not seen through the interfaces allowed',
} as const;
export type Rejection = keyof typeof REJECTIONS;

export interface Placement {
  /** Best first: by preferred topology, then smallest target, then lowest address. The same input gives the same order. */
  readonly candidates: readonly Candidate[];
  /** How many targets failed which test first; with the candidates they add up to all targets. */
  readonly rejected: ReadonlyMap<Rejection, number>;
}

/**
 * Finds the targets that a new volume may take. Pure: takes nothing, and knows no time.
 * @param targets all there are
 * @param nodes those that are alive (liveness.ts)
 */
export function placeVolume(
  request: PlacementRequest,
  targets: readonly TargetRecord[],
  nodes: readonly NodeRecord[],
): Placement {
  const reach = new Reach(nodes, request.topology, request.settings.interfaces);
  const candidates: Candidate[] = [];
  const rejected = new Map<Rejection, number>();
  for (const target of targets) {
    const verdict = assess(request, target, reach);
    if (typeof verdict === 'string') rejected.set(verdict, (rejected.get(verdict) ?? 0) + 1);
    else candidates.push(verdict);
  }
  return { candidates: candidates.toSorted(byMerit), rejected };
}

function assess(request: PlacementRequest, target: TargetRecord, reach: Reach): Candidate | Rejection {
  const misfit = misfitOf(request, target) ?? unavailability(target);
  if (misfit !== undefined) return misfit;
  const preference = reach.preferenceOf(target.address);
  if (typeof preference === 'string') return preference;
  const granted = grantedBytes(request.range, target.identity.sizeBytes);
  return { target, grantedBytes: granted, wasteBytes: target.identity.sizeBytes - granted, preference };
}

/** Why a target could not serve the request even if it were free. */
function misfitOf({ range, settings }: PlacementRequest, { address, identity, fencing }: TargetRecord): Rejection | undefined {
  const { shelf, slot } = parseTargetAddress(address);
  const { sizeBytes } = identity;
  if (!rangesInclude(settings.shelves, shelf)) return 'shelf';
  if (!rangesInclude(settings.slots, slot)) return 'slot';
  if (sizeBytes < Math.max(range.requiredBytes, 1)) return 'size';
  if (sizeBytes - grantedBytes(range, sizeBytes) > wasteBytesMax(settings.maxWaste, sizeBytes)) return 'waste';
  return meetsFencing(fencing, settings.fencing) ? undefined : 'fencing';
}

/** A target may be Available and yet in use: a static volume leaves nothing but its publications. */
function unavailability({ state, claim, publications, task }: TargetRecord): Rejection | undefined {
  if (state === 'Foreign') return 'foreign';
  if (state === 'Missing') return 'unseen';
  return state === 'Available' && claim === undefined && publications.length === 0 && task === undefined ? undefined : 'taken';
}

/** The smallest target is also the one of which least lies idle. */
function byMerit(a: Candidate, b: Candidate): number {
  return (
    a.preference - b.preference ||
    a.target.identity.sizeBytes - b.target.identity.sizeBytes ||
    compareAddresses(a.target.address, b.target.address)
  );
}
