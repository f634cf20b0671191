import { ownershipOf, staticClaimOf } from './claim.ts';
import { VolumeError } from './errors.ts';
import type { WipePolicy } from './parameter-table.ts';
import type { ClaimRecord, NodeRecord, TargetRecord } from './records.ts';
import { change, type Store } from './store.ts';

/** How it is wiped: undefined if its disk must be blank. */
export type ReleaseWipe = Exclude<WipePolicy, 'none'> | undefined;

/**
 * Gives a target back that carries a claim of this cluster which no volume has: its record was lost, or restored from a time before
 * the volume; or the claim is a static volume's. Only a person can know that nobody needs it. From here on it goes the way of a
 * deleted volume: a node makes sure that the claim on the target is this one, looks at the disk or wipes it, and takes the claim off.
 * @returns the claim
 * @throws VolumeError `not-found` when nothing is known of the target; `failed-precondition` when it is no such target, with what it is
 */
export async function releaseTarget(store: Store, clusterId: string, address: string, wipe: ReleaseWipe): Promise<string> {
  const nodes = (await store.nodes.list()).map(({ value }) => value);
  const seen = claimSeen(nodes, address, clusterId);
  let released = '';
  const found = await change(store.targets, address, (record): TargetRecord => {
    // The target may have forgotten a static volume's; it is the same at any time.
    const claim = record.state === 'Static' ? staticClaimOf(clusterId, address) : seen;
    if ((record.state !== 'Foreign' && record.state !== 'Static') || claim === undefined) {
      const reason = record.reason === '' ? '' : `: ${record.reason}`;
      throw notReleasable(address, `it is ${record.state}${reason}`);
    }
    if (record.publications.length > 0) throw notReleasable(address, 'it is published as a static volume');
    released = claim;
    return {
      ...record,
      state: 'Released',
      reason: '',
      claim: claimOfNobody(claim, record.identity.sizeBytes, wipe),
      task: undefined,
    };
  });
  if (found === undefined) {
    throw new VolumeError('not-found', `cannot release ${address}: the store does not know it; has a node seen it?`);
  }
  return released;
}

function claimSeen(nodes: readonly NodeRecord[], address: string, clusterId: string): string | undefined {
  for (const { targets } of nodes) {
    const owner = ownershipOf(targets[address]?.configString ?? '', clusterId);
    if (owner.kind === 'ours') return owner.claim;
  }
  return undefined;
}

/** Nothing is known of the volume that it was. What was never formatted is not wiped but looked at (node/tasks/wipe-task.ts). */
function claimOfNobody(claim: string, sizeBytes: number, wipe: ReleaseWipe): ClaimRecord {
  return {
    volumeName: '',
    claim,
    capacityBytes: sizeBytes,
    parameters: { wipe: wipe ?? 'headers' },
    mutableParameters: {},
    confirmed: true,
    format: { state: wipe === undefined ? 'never' : 'formatted', fsType: '', uuid: '' },
    epoch: 0,
    labels: {},
  };
}

function notReleasable(address: string, why: string): VolumeError {
  return new VolumeError(
    'failed-precondition',
    `cannot release ${address}: ${why}; only a target whose claim is this cluster's, and no volume's or a static one's, can be released`,
  );
}
