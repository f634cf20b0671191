import { RESERVE_ENTRIES_MAX } from '../../aoe/constants.ts';
import type { TargetRecord } from '../../volumes/records.ts';
import type { Store } from '../../volumes/store.ts';
import type { NodeParts } from '../node-parts.ts';
import { releaseReservation } from './ownership.ts';

type Parts = Pick<NodeParts, 'store' | 'initiator'>;

const EVERYBODY: readonly string[] = [];

/**
 * Gives a reservation back that this node, which had stalled, has taken from whoever has the target by now. While nobody has its
 * volume it stays reserved, as it does when a volume leaves: to let everybody in is to let in who has lost it.
 * @param record the target's, as it is now
 * @param isFree whether the target is nobody's any more
 */
export async function giveBack(
  { store, initiator }: Parts,
  address: string,
  record: TargetRecord | undefined,
  isFree: boolean,
): Promise<void> {
  const heirs = await heirsOf(store, record, isFree);
  if (heirs !== undefined) await releaseReservation(initiator, address, heirs);
}

/** The same for a volume that was to be used here. Everybody is let in where nobody knows who has it, and to a static one, without claim. */
export async function giveVolumeBack({ store, initiator }: Parts, address: string): Promise<void> {
  const heirs = await heirsOfVolume(store, address).catch(() => EVERYBODY);
  if (heirs !== undefined) await releaseReservation(initiator, address, heirs);
}

async function heirsOfVolume(store: Store, address: string): Promise<readonly string[] | undefined> {
  const record = (await store.targets.get(address))?.value;
  return heirsOf(store, record, record?.claim === undefined);
}

/** MACs of who has a target now: who carries a task out on it, or else the nodes that keep its volume. Undefined when it is kept. */
async function heirsOf(store: Store, record: TargetRecord | undefined, isFree: boolean): Promise<readonly string[] | undefined> {
  const { task, publications } = record ?? { task: undefined, publications: [] };
  const holders = publications.filter(({ isLeaving }) => isLeaving !== true).map(({ nodeId }) => nodeId);
  const ids = task === undefined || task.kind === 'claim' ? holders : [task.nodeId];
  const nodes = await Promise.all(ids.map(async (id) => store.nodes.get(id)));
  const macs = [...new Set(nodes.flatMap((node) => node?.value.macs ?? []))];
  if (macs.length === 0) return isFree ? EVERYBODY : undefined;
  return macs.length > RESERVE_ENTRIES_MAX ? EVERYBODY : macs;
}
