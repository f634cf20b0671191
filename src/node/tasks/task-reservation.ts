import { VolumeError } from '../../volumes/errors.ts';
import type { ReserveAnswer } from '../initiator-client.ts';
import { giveBack } from '../staging/late-reservation.ts';
import { reserveForUs } from '../staging/ownership.ts';
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
  const { store, nodeId } = parts;
  const { address } = target;
  const record = (await store.targets.get(address))?.value;
  if (record?.task?.id === task.id && record.task.nodeId === nodeId) return;
  const lost = `task ${task.id} on ${address} is not this node's any more`;
  const isFreed = target.claim !== undefined && record?.claim === undefined;
  try {
    await giveBack(parts, address, record, isFreed);
  } catch (error) {
    logger.error(`${lost}, and its reservation could not be given back: ${(error as Error).message}`, { target: address });
    throw error;
  }
  throw new VolumeError('aborted', `${lost}; its reservation is not kept`);
}
