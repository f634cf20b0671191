import { VolumeError } from '../volumes/errors.ts';
import type { NodeRecord, PublicationRecord, TargetRecord } from '../volumes/records.ts';
import { recordRemoval } from '../volumes/remedies.ts';
import { change } from '../volumes/store.ts';
import { fenceTaskId } from '../volumes/task-ids.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { waitForRecord } from '../volumes/wait-for-record.ts';
import { isOn } from '../volumes/volume-on-target.ts';
import { crashPoint } from './crash-points.ts';
import { liveNodes, type ControllerParts } from './parts.ts';
import { fenceTask, nodeFor, nodeInService } from './tasks.ts';

/**
 * Takes volumes away from nodes. When this is done, that node can no longer write: it has said that it has the volume no more, or
 * it is silent and the target refuses it. Neither is ever assumed, but on a person's word: one that has removed the node's record, or
 * has declared it to be out of service, says that it is off. And who has the volume for reading only need not be refused.
 */
export class Unpublishing {
  readonly #parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  /**
   * @param nodeId empty for all nodes
   * @throws VolumeError `failed-precondition` while the node may still write, saying why; `unavailable` when it could not be fenced
   * off; `aborted` when patience was over first
   */
  async unpublish(id: VolumeId, nodeId: string, patience: AbortSignal): Promise<void> {
    const found = await this.#parts.store.targets.get(id.address);
    if (found === undefined || !isOn(id, found.value)) return;
    const publications = found.value.publications.filter((publication) => nodeId === '' || publication.nodeId === nodeId);
    for (const publication of publications) await this.#withdraw(id, publication, patience);
  }

  /**
   * First it is written that the publication is to go, then the node is looked at: it announces a stage before it looks whether the
   * volume is still published to it, so that one of the two sees the other. Until it is gone, nobody else gets the volume.
   */
  async #withdraw(id: VolumeId, publication: PublicationRecord, patience: AbortSignal): Promise<void> {
    await this.#mark(id, publication, true);
    crashPoint('unpublish-leaving');
    const holder = await this.#holder(id, publication);
    if (holder !== undefined) {
      if (await this.#isInService(holder)) {
        // It goes on as before, unless an earlier call has begun to put it out.
        if (publication.isLeaving !== true) await this.#mark(id, publication, false);
        throw stillThere(id, publication);
      }
      // A reader has the device for reading only. To fence it off would put the other readers out, too.
      if (!publication.readOnly) await this.#fence(id, publication, patience);
    }
    await this.#remove(id, publication, holder !== undefined);
    crashPoint('unpublish-removed');
  }

  async #mark(id: VolumeId, { nodeId, epoch }: PublicationRecord, isLeaving: boolean): Promise<void> {
    await change(this.#parts.store.targets, id.address, (target) => {
      const found = target.publications.find((other) => other.nodeId === nodeId && other.epoch === epoch);
      if (!isOn(id, target) || found === undefined || (found.isLeaving ?? false) === isLeaving) return undefined;
      const publications = target.publications.map((other) => (other === found ? { ...found, isLeaving } : other));
      return { ...target, publications };
    });
  }

  /** The node, if it may write. One whose record a person has removed is gone for good (docs/csi.md). */
  async #holder(id: VolumeId, { nodeId }: PublicationRecord): Promise<NodeRecord | undefined> {
    const node = (await this.#parts.store.nodes.get(nodeId))?.value;
    const staged = node?.staged[formatVolumeId(id)];
    return staged === undefined || staged.fenced ? undefined : node;
  }

  /** A node that a person has declared to be off is not waited for. Should it live all the same, its target refuses it from now on. */
  async #isInService(node: NodeRecord): Promise<boolean> {
    const { liveness, store } = this.#parts;
    return liveness.isAlive(node) && (await store.isOutOfService?.(node.nodeId)) !== true;
  }

  /** Has another node make the target refuse a silent one. */
  async #fence(id: VolumeId, publication: PublicationRecord, patience: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    const taskId = fenceTaskId(publication.nodeId, publication.epoch);
    const by = await this.#fencer(id, publication);
    await change(store.targets, id.address, (target) => withFence(id, publication, target, by));
    crashPoint('unpublish-fencing');
    const isSettled = (target: TargetRecord | undefined): boolean =>
      target?.task?.id !== taskId || target.task.state === 'done' || target.task.state === 'failed';
    const record = await waitForRecord(store.targets, id.address, (now) => isSettled(now?.value), patience);
    const task = record?.value.task;
    if (task?.id === taskId && task.state === 'done') return;
    const cannot = `cannot unpublish ${formatVolumeId(id)} from node ${publication.nodeId}, which is silent and has it staged`;
    if (task?.id === taskId && task.state === 'failed') {
      throw new VolumeError('unavailable', `${cannot}: node ${task.nodeId} could not fence it off: ${task.message}; call again`);
    }
    throw new VolumeError('aborted', `${cannot}: it is not fenced off yet; call again`);
  }

  /**
   * The node that is to fence: who has been asked to already, unless that has failed there; rather another one then. One that a person
   * has declared to be off often dies together with the one to fence.
   */
  async #fencer(id: VolumeId, { nodeId, epoch }: PublicationRecord): Promise<string | undefined> {
    const { store } = this.#parts;
    const target = (await store.targets.get(id.address))?.value;
    if (target === undefined) return undefined;
    const task = target.task?.id === fenceTaskId(nodeId, epoch) ? target.task : undefined;
    const others = (await liveNodes(this.#parts)).filter((node) => node.nodeId !== nodeId);
    const asked = task?.state === 'failed' ? undefined : task?.nodeId;
    return nodeInService(
      store,
      others,
      (able) =>
        able.find((node) => node.nodeId === asked)?.nodeId ?? nodeFor(target, able, task?.nodeId) ?? nodeFor(target, able),
    );
  }

  /**
   * @param isOut the node can't write, although it says that it has the volume
   * @throws VolumeError `aborted` when it was wanted again meanwhile: then the node may stage it at any time, or has, if yet another
   * call marks it as leaving
   */
  async #remove(id: VolumeId, publication: PublicationRecord, isOut: boolean): Promise<void> {
    const { nodeId, epoch } = publication;
    await change(this.#parts.store.targets, id.address, async (target) => {
      if (!isOn(id, target)) return undefined;
      const found = target.publications.find((other) => other.nodeId === nodeId);
      if (found !== undefined && (found.epoch !== epoch || found.isLeaving !== true)) throw wantedAgain(id, nodeId);
      const isFence = target.task?.id === fenceTaskId(nodeId, epoch);
      if (found === undefined && !isFence) return undefined;
      // After the record was read, as the node announces a stage before it reads it: one of the two sees the other.
      if (!isOut && (await this.#holder(id, publication)) !== undefined) throw wantedAgain(id, nodeId);
      const publications = target.publications.filter((other) => other !== found);
      return { ...target, publications, task: isFence ? undefined : target.task };
    });
  }
}

/** The record with a task for `by` to fence a node off; undefined to leave it, with one that is there already, or done. */
function withFence(
  id: VolumeId,
  { nodeId, epoch }: PublicationRecord,
  target: TargetRecord,
  by: string | undefined,
): TargetRecord | undefined {
  const { task } = target;
  const isFence = task?.id === fenceTaskId(nodeId, epoch);
  if (!isOn(id, target) || (isFence && (task.state === 'done' || (task.state !== 'failed' && task.nodeId === by))))
    return undefined;
  const cannot = `cannot unpublish ${formatVolumeId(id)} from node ${nodeId}, which is silent and has it staged`;
  // A claim that is told to the target once more can wait; who takes the volume over tells it, too.
  if (task !== undefined && task.kind !== 'claim' && !isFence) {
    throw new VolumeError(
      'aborted',
      `${cannot}: node ${task.nodeId} has something else to do with its target (${task.kind}); call again`,
    );
  }
  if (target.fencing !== 'reserve') {
    throw new VolumeError(
      'failed-precondition',
      `${cannot}: its target can't refuse a node (fencing level ${target.fencing}); make sure that the node is off, then ${recordRemoval(nodeId)}`,
    );
  }
  if (by === undefined) {
    throw new VolumeError(
      'failed-precondition',
      `${cannot}: no other live node sees its target to fence it off; bring a node plugin up`,
    );
  }
  return { ...target, task: fenceTask(nodeId, epoch, by) };
}

function wantedAgain(id: VolumeId, nodeId: string): VolumeError {
  return new VolumeError(
    'aborted',
    `cannot unpublish ${formatVolumeId(id)} from node ${nodeId}: another call has published it there again meanwhile; call again if it is to go`,
  );
}

function stillThere(id: VolumeId, { nodeId }: PublicationRecord): VolumeError {
  return new VolumeError(
    'failed-precondition',
    `cannot unpublish ${formatVolumeId(id)} from node ${nodeId}: it is staged there, and the node is alive; call NodeUnstageVolume first`,
  );
}
