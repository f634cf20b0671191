import { VolumeError } from '../../volumes/errors.ts';
import { recordRemoval } from '../../volumes/remedies.ts';
import { fencedNodeOf } from '../../volumes/task-ids.ts';
import { crashPoint } from '../crash-points.ts';
import { requireClaim } from '../staging/ownership.ts';
import { changeTask, type HandedTask, type TaskParts } from './target-task.ts';
import { reserveForTask } from './task-reservation.ts';

/**
 * Makes a target refuse the I/O of a node that has lost its volume, by reserving it for this node: an empty list would let everybody
 * in. Whoever stages the volume next takes the reservation over.
 * @throws VolumeError why it can't be done
 */
export async function fenceTarget(parts: TaskParts, handed: HandedTask): Promise<void> {
  const { address, claim, fencing } = handed.target;
  const fenced = fencedNodeOf(handed.task);
  if (fenced === undefined) throw new VolumeError('internal', `cannot read the fence task '${handed.task.id}'`);
  if (fenced === parts.nodeId) throw new VolumeError('internal', `cannot fence node ${fenced} off ${address}: that is this node`);
  if (fencing !== 'reserve') {
    throw new VolumeError(
      'failed-precondition',
      `cannot fence node ${fenced} off ${address}: the target knows no reservations (level ${fencing}); switch that node off, and ${recordRemoval(fenced)}`,
    );
  }
  await requireClaim(parts.initiator, address, parts.clusterId, claim?.claim);
  const lost = (await parts.store.nodes.get(fenced))?.value.macs ?? [];
  const { lists, silent } = await parts.initiator.reserved(address);
  const isOut = lost.length > 0 && lists.every((macs) => macs.length > 0 && !macs.some((mac) => lost.includes(mac)));
  const unsure = isOut ? silent : (await reserveForTask(parts, handed)).silent;
  if (unsure > 0) {
    throw new VolumeError(
      'unavailable',
      `cannot be sure that node ${fenced} is fenced off ${address}: it has ${unsure} more MAC(s) that do not answer, and may answer that ` +
        'node; bring them back, or wait until they are gone for minutes',
    );
  }
  crashPoint('fence-set');
  const isDone = await changeTask(parts, handed, (record) => ({
    ...record,
    task: record.task && { ...record.task, state: 'done', message: '' },
  }));
  crashPoint('fence-done');
  if (isDone) handed.logger.info(`node ${fenced} can no longer write to ${address}`, { target: address, node: fenced });
}
