import type { Logger } from '../../logging/logger.ts';
import type { TargetRecord, TaskRecord } from '../../volumes/records.ts';
import { change } from '../../volumes/store.ts';
import type { NodeParts } from '../node-parts.ts';
import type { Reporter } from '../reporter.ts';

/** What carries out tasks. */
export interface TaskParts extends NodeParts {
  readonly reporter: Pick<Reporter, 'refresh'>;
}

/** A task that was handed to this node, with the record as it was then. */
export interface HandedTask {
  readonly target: TargetRecord;
  readonly task: TaskRecord;
  readonly logger: Logger;
}

/**
 * Changes a target's record as long as the task is still this node's.
 * @returns whether it is; else it is logged
 */
export async function changeTask(
  { store, nodeId }: NodeParts,
  { target, task, logger }: HandedTask,
  decide: (record: TargetRecord) => TargetRecord,
): Promise<boolean> {
  let isOurs = false;
  await change(store.targets, target.address, (record) => {
    isOurs = record.task?.id === task.id && record.task.nodeId === nodeId;
    return isOurs ? decide(record) : undefined;
  });
  if (!isOurs) logger.info(`task ${task.id} on ${target.address} is not this node's any more`, { target: target.address });
  return isOurs;
}
