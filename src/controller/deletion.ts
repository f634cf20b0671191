import { VolumeError } from '../volumes/errors.ts';
import type { TargetRecord } from '../volumes/records.ts';
import { unpublishingByHand } from '../volumes/remedies.ts';
import { change } from '../volumes/store.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { isOn } from '../volumes/volume-on-target.ts';
import { crashPoint } from './crash-points.ts';
import { liveNodes, type ControllerParts } from './parts.ts';
import { isDecided, nodeFor, wipeTask } from './tasks.ts';

/** Gives targets back: a node wipes them, and then they are Available again. */
export class Deletion {
  readonly #parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  /**
   * What is not there is deleted already; a static volume is a person's, and stays as it is. Does not wait for the wipe.
   * @throws VolumeError `failed-precondition` while the volume is published
   */
  async delete(id: VolumeId): Promise<void> {
    const { claim } = id;
    if (claim === undefined) return;
    const live = await liveNodes(this.#parts);
    await change(this.#parts.store.targets, id.address, (target) => {
      if (!isOn(id, target)) return undefined;
      requireUnpublished(id, target);
      // Nothing has been written to a target that was not decided on.
      const next: TargetRecord = { ...target, state: 'Available', reason: '', claim: undefined };
      return isDecided(target) ? released(target, claim, nodeFor(target, live)) : next;
    });
    crashPoint('delete-released');
  }
}

/** @param nodeId undefined where no node is alive: the task is made as soon as one is (housekeeping.ts) */
function released(target: TargetRecord, claim: string, nodeId: string | undefined): TargetRecord {
  return { ...target, state: 'Released', reason: '', task: nodeId === undefined ? undefined : wipeTask(claim, nodeId) };
}

function requireUnpublished(id: VolumeId, { publications }: TargetRecord): void {
  if (publications.length === 0) return;
  const nodes = publications.map(({ nodeId }) => nodeId);
  const volumeId = formatVolumeId(id);
  throw new VolumeError(
    'failed-precondition',
    `cannot delete volume ${volumeId}: it is published to ${nodes.join(', ')}; ${unpublishingByHand(volumeId, nodes)}`,
  );
}
