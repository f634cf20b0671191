import { VolumeError } from '../../volumes/errors.ts';
import { crashPoint } from '../crash-points.ts';
import { requireIdentity, setClaim } from '../staging/ownership.ts';
import { changeTask, type HandedTask, type TaskParts } from './target-task.ts';

/**
 * Writes a claim of ours on a target, for the first time or on one that has forgotten it. When it turns out to be somebody else's, the
 * record says so, and the claim is off it, so that the controller looks for another; unless it is a volume already, whose data may be
 * there still.
 * @throws VolumeError why it can't be done now
 */
export async function claimTarget(parts: TaskParts, handed: HandedTask): Promise<void> {
  const { address, claim, identity } = handed.target;
  if (claim === undefined) throw new VolumeError('internal', `cannot claim ${address}: its record has no claim`);
  await requireIdentity(parts.initiator, address, identity);
  const owner = await setClaim(parts.initiator, address, parts.clusterId, claim.claim);
  crashPoint('claim-set');
  await parts.reporter.refresh(address);
  if (owner === undefined) {
    const isConfirmed = await changeTask(parts, handed, (record) => ({
      ...record,
      reason: '',
      claim: record.claim && { ...record.claim, confirmed: true },
      task: undefined,
    }));
    crashPoint('claim-confirmed');
    if (isConfirmed) handed.logger.info(`${address} is claimed for volume ${claim.volumeName}`, { target: address });
    return;
  }
  handed.logger.warn(`${address} can't be claimed: it is claimed by ${owner}`, { target: address });
  const reason = `claimed by ${owner}`;
  await changeTask(parts, handed, (record) =>
    record.claim?.confirmed === true
      ? { ...record, reason: `the target is ${reason}`, task: undefined }
      : { ...record, state: 'Foreign', reason, claim: undefined, task: undefined },
  );
}
