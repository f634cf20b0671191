import { RESERVE_ENTRIES_MAX } from '../../aoe/constants.ts';
import { VolumeError } from '../../volumes/errors.ts';
import type { TargetRecord } from '../../volumes/records.ts';
import type { Store } from '../../volumes/store.ts';
import type { ReserveAnswer } from '../initiator-client.ts';
import { releaseReservation, reserveForUs } from '../staging/ownership.ts';
import type { HandedTask, TaskParts } from './target-task.ts';

/**
 * Makes a target refuse all nodes but this one, as a task wants it. A node that stalled before it reserved has taken the target from
 * whoever has it by now: it gives it back to them.
 * @returns what the target said
 * @throws VolumeError `aborted` when the task is not this node's any more; as reserveForUs
 */
export async function reserveForTask(parts: TaskParts, handed: HandedTask): Promise<ReserveAnswer> {
  try {
    return await reserveForUs(parts.initiator, handed.target.address);
  } finally {
    // Also where it failed: what could not be read back may have been set.
    await requireStillOurs(parts, handed);
  }
}

async function requireStillOurs(parts: TaskParts, { target, task, logger }: HandedTask): Promise<void> {
  const { store, nodeId, initiator } = parts;
  const { address } = target;
  const record = (await store.targets.get(address))?.value;
  if (record?.task?.id === task.id && record.task.nodeId === nodeId) return;
  const lost = `task ${task.id} on ${address} is not this node's any more`;
  const heirs = record === undefined ? [] : await heirsOf(store, record);
  const isFreed = target.claim !== undefined && record?.claim === undefined;
  try {
    // While nobody has the volume it stays reserved, as it does when a volume leaves: to let everybody in is to let in who has lost it.
    if (heirs.length > 0 || isFreed)
      await releaseReservation(initiator, address, heirs.length > RESERVE_ENTRIES_MAX ? [] : heirs);
  } catch (error) {
    logger.error(`${lost}, and its reservation could not be given back: ${(error as Error).message}`, { target: address });
    throw error;
  }
  throw new VolumeError('aborted', `${lost}; its reservation is not kept`);
}

/** MACs of who has a target now: who carries a task out on it, or else the nodes that keep its volume. */
async function heirsOf(store: Store, { task, publications }: TargetRecord): Promise<readonly string[]> {
  const holders = publications.filter(({ isLeaving }) => isLeaving !== true).map(({ nodeId }) => nodeId);
  const ids = task === undefined || task.kind === 'claim' ? holders : [task.nodeId];
  const nodes = await Promise.all(ids.map(async (id) => store.nodes.get(id)));
  return [...new Set(nodes.flatMap((node) => node?.value.macs ?? []))];
}
