import { VolumeError } from '../volumes/errors.ts';
import { KeyedLock } from '../volumes/keyed-lock.ts';
import type { NodeRecord, PublicationRecord, TargetRecord } from '../volumes/records.ts';
import { unpublishingByHand } from '../volumes/remedies.ts';
import { change, type Store } from '../volumes/store.ts';
import { fenceTaskId } from '../volumes/task-ids.ts';
import { formatVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { noVolume } from '../volumes/volume-on-target.ts';
import { isMultiNodeMode, isReaderMode, type AccessMode } from './capabilities.ts';
import { crashPoint } from './crash-points.ts';
import { volumeOf } from './find-volume.ts';
import type { ControllerParts } from './parts.ts';

/** Where a volume is wanted, and for what. */
export interface WantedPublication {
  readonly nodeId: string;
  readonly accessMode: AccessMode;
  readonly readOnly: boolean;
  /** A static volume is to claim its target. */
  readonly isClaiming: boolean;
}

/** As many as may add to one node's volumes at a time. */
const CONTROLLERS_MAX = 8;

type Publication = Omit<WantedPublication, 'isClaiming'>;

/** What the node must know of the volume: it is to find exactly this. Everything that may change later stands in the record. */
export type PublishContext = Readonly<Record<'target' | 'claim' | 'epoch' | 'serial' | 'model' | 'sizeBytes', string>>;

/** Says which nodes may use a volume. Nothing happens on the node or the storage network yet: that is NodeStageVolume. */
export class Publishing {
  readonly #parts: ControllerParts;
  /** A node's volumes are counted and added to by one call at a time. */
  readonly #nodes = new KeyedLock();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  /**
   * @param patience ends the waiting for other calls for the same node
   * @throws VolumeError `not-found` for volume or node; `already-exists` when published there in another way; `failed-precondition`
   * while other nodes have it, naming them; `resource-exhausted` when the node is full
   */
  async publish(id: VolumeId, wanted: WantedPublication, patience: AbortSignal): Promise<PublishContext> {
    return this.#nodes.runWhenFree(`node ${wanted.nodeId}`, patience, async () => this.#publish(id, wanted));
  }

  async #publish(id: VolumeId, wanted: WantedPublication): Promise<PublishContext> {
    const { store, nowMs } = this.#parts;
    const volumeId = formatVolumeId(id);
    // First the volume, then the node: whoever asks for two things that are not there is told of the volume.
    const found = await store.targets.get(id.address);
    if (found === undefined) throw noVolume(volumeId, undefined);
    volumeOf(id, found.value);
    const node = await this.#node(wanted.nodeId);
    const published = await countPublications(store, wanted.nodeId);
    let isNew = false;
    const record = await change(store.targets, id.address, (target): TargetRecord | undefined => {
      isNew = false;
      volumeOf(id, target);
      const present = findPublication(volumeId, target, wanted);
      if (present !== undefined)
        return present.isLeaving === true ? withoutLeaving(volumeId, target, present, nowMs()) : undefined;
      requireUsable(volumeId, target);
      requireCompatible(volumeId, target, wanted);
      requireRoom(volumeId, node, published);
      isNew = true;
      const next = withPublication(target, wanted, nowMs());
      // Here, before the node writes it on the target: nobody is to place a volume there when this one is not published.
      return wanted.isClaiming ? { ...next, state: 'Static' } : next;
    });
    if (record === undefined) throw noVolume(volumeId, undefined);
    crashPoint('publish-recorded');
    const publication = findPublication(volumeId, record.value, wanted);
    if (publication === undefined)
      throw new VolumeError('aborted', `the publication of ${volumeId} was taken away at once; call again`);
    if (isNew) await this.#requireStillRoom(id, node, published, publication);
    return contextOf(record.value, publication);
  }

  /**
   * Other controllers may have added to a node's volumes since they were counted: whoever then sees too many takes its own back, which
   * nobody has been told of yet.
   * @throws VolumeError `resource-exhausted`
   */
  async #requireStillRoom(id: VolumeId, node: NodeRecord, published: number, { epoch }: PublicationRecord): Promise<void> {
    const { store } = this.#parts;
    const { nodeId, volumesMax } = node;
    if (volumesMax === 0 || published + CONTROLLERS_MAX < volumesMax) return;
    const now = await countPublications(store, nodeId);
    if (now <= volumesMax) return;
    await change(store.targets, id.address, (target) => {
      const publications = target.publications.filter((other) => other.nodeId !== nodeId || other.epoch !== epoch);
      return publications.length === target.publications.length ? undefined : { ...target, publications };
    });
    requireRoom(formatVolumeId(id), node, now - 1);
  }

  async #node(nodeId: string): Promise<NodeRecord> {
    const found = await this.#parts.store.nodes.get(nodeId);
    if (found !== undefined) return found.value;
    throw new VolumeError(
      'not-found',
      `there is no node ${nodeId}: no node plugin of that name has reported itself; is it running there?`,
    );
  }
}

async function countPublications(store: Store, nodeId: string): Promise<number> {
  const targets = await store.targets.list();
  return targets.filter(({ value }) => value.publications.some((publication) => publication.nodeId === nodeId)).length;
}

/** The publication to this node, if there is one. @throws VolumeError `already-exists` when it is for another use */
function findPublication(volumeId: string, target: TargetRecord, wanted: Publication): PublicationRecord | undefined {
  const found = target.publications.find(({ nodeId }) => nodeId === wanted.nodeId);
  if (found === undefined || (found.readOnly === wanted.readOnly && found.accessMode === wanted.accessMode)) return found;
  throw new VolumeError(
    'already-exists',
    `cannot publish ${volumeId} to node ${wanted.nodeId} as ${describe(wanted)}: it is published there as ${describe(found)}; unpublish it first`,
  );
}

function withPublication(target: TargetRecord, wanted: Publication, nowMs: number): TargetRecord {
  const { claim } = target;
  // Of a static volume nothing is kept when it is not published: only the time goes on.
  const epoch = claim === undefined ? nowMs : claim.epoch + 1;
  const { nodeId, accessMode, readOnly } = wanted;
  const publications = [...target.publications, { nodeId, accessMode, readOnly, epoch }];
  return { ...target, publications, claim: claim === undefined ? undefined : { ...claim, epoch } };
}

/**
 * The record with a publication that was to go and is wanted again. As it was; but once the node was fenced off it is another one,
 * with an epoch of its own: the next time, a fence that was meant for this one must not be taken for done.
 * @throws VolumeError `aborted` while the node is being fenced off
 */
function withoutLeaving(
  volumeId: string,
  target: TargetRecord,
  { isLeaving: _isLeaving, ...present }: PublicationRecord,
  nowMs: number,
): TargetRecord {
  const { task } = target;
  const { nodeId, epoch, ...use } = present;
  const others = target.publications.filter((other) => other.nodeId !== nodeId);
  if (task?.id !== fenceTaskId(nodeId, epoch)) return { ...target, publications: [...others, present] };
  if (task.state === 'waiting' || task.state === 'running') {
    throw new VolumeError(
      'aborted',
      `cannot publish ${volumeId} to node ${nodeId}: node ${task.nodeId} is fencing it off; call ControllerUnpublishVolume first, or again`,
    );
  }
  const wanted = { nodeId, ...use, accessMode: use.accessMode as AccessMode };
  return withPublication({ ...target, publications: others, task: undefined }, wanted, nowMs);
}

function requireUsable(volumeId: string, { state, reason }: TargetRecord): void {
  if (state !== 'Foreign') return;
  throw new VolumeError('failed-precondition', `cannot publish ${volumeId}: its target is not ours to use: ${reason}`);
}

/** @throws VolumeError `failed-precondition` when the nodes that have it leave no room for this one */
function requireCompatible(volumeId: string, { publications }: TargetRecord, wanted: Publication): void {
  const holders = publications.filter(
    ({ accessMode }) => !isMultiNodeMode(wanted.accessMode) || !isMultiNodeMode(accessMode as AccessMode),
  );
  if (holders.length === 0) return;
  const who = holders.map((holder) => `${holder.nodeId} as ${describe(holder)}`).join(', ');
  throw new VolumeError(
    'failed-precondition',
    `cannot publish ${volumeId} to node ${wanted.nodeId} as ${describe(wanted)}: it is published to ${who}; ` +
      unpublishingByHand(
        volumeId,
        holders.map(({ nodeId }) => nodeId),
      ),
  );
}

function requireRoom(volumeId: string, { nodeId, volumesMax }: NodeRecord, published: number): void {
  // 0 stands for "no limit" (CSI, NodeGetInfoResponse.max_volumes_per_node).
  if (volumesMax === 0 || published < volumesMax) return;
  throw new VolumeError(
    'resource-exhausted',
    `cannot publish ${volumeId} to node ${nodeId}: it has ${published} volumes, and ${volumesMax} are its limit`,
  );
}

function describe({ accessMode, readOnly }: Pick<PublicationRecord, 'accessMode' | 'readOnly'>): string {
  return readOnly && !isReaderMode(accessMode as AccessMode) ? `${accessMode}, read-only` : accessMode;
}

function contextOf(target: TargetRecord, { epoch }: PublicationRecord): PublishContext {
  const { serial, model, sizeBytes } = target.identity;
  const claim = target.claim?.claim ?? '';
  return { target: target.address, claim, epoch: String(epoch), serial, model, sizeBytes: String(sizeBytes) };
}
