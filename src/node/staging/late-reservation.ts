import { RESERVE_ENTRIES_MAX } from '../../aoe/constants.ts';
import type { TargetRecord } from '../../volumes/records.ts';
import type { Store } from '../../volumes/store.ts';
import type { NodeParts } from '../node-parts.ts';
import { releaseReservation } from './ownership.ts';

type Parts = Pick<NodeParts, 'store' | 'initiator'>;

/**
 * Gives a reservation back that this node, which had stalled, has taken from whoever has the target by now. While nobody has its
 * volume it stays reserved, as it does when a volume leaves: to let everybody in is to let in who has lost it.
 * @param record the target's, as it is now
 * @param isFree whether the target is nobody's any more
 */
export async function giveBack({ store, initiator }: Parts, record: TargetRecord, isFree: boolean): Promise<void> {
  const heirs = await heirsOf(store, record);
  if (heirs.length === 0 && !isFree) return;
  await releaseReservation(initiator, record.address, heirs.length > RESERVE_ENTRIES_MAX ? [] : heirs);
}

/** The same for a volume that is to be used here. A static one has no claim, and is left open. */
export async function giveVolumeBack(parts: Parts, address: string): Promise<void> {
  try {
    const record = (await parts.store.targets.get(address))?.value;
    if (record !== undefined) {
      await giveBack(parts, record, record.claim === undefined);
      return;
    }
  } catch {
    // Who has it can't be found out now.
  }
  await releaseReservation(parts.initiator, address);
}

/** MACs of who has a target now: who carries a task out on it, or else the nodes that keep its volume. */
async function heirsOf(store: Store, { task, publications }: TargetRecord): Promise<readonly string[]> {
  const holders = publications.filter(({ isLeaving }) => isLeaving !== true).map(({ nodeId }) => nodeId);
  const ids = task === undefined || task.kind === 'claim' ? holders : [task.nodeId];
  const nodes = await Promise.all(ids.map(async (id) => store.nodes.get(id)));
  return [...new Set(nodes.flatMap((node) => node?.value.macs ?? []))];
}
