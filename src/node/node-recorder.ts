import { isDeepStrictEqual } from 'node:util';
import { NODE_HEARTBEAT_MS } from '../volumes/liveness.ts';
import { VolumeError } from '../volumes/errors.ts';
import type { NodeRecord, StagedRecord } from '../volumes/records.ts';
import { isConflict, type Collection } from '../volumes/store.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { withRoom } from './sights-room.ts';
import type { StagedVolume } from './staging/staged-volume.ts';

/** What a node is told to be. */
export type NodeFacts = Pick<NodeRecord, 'nodeId' | 'segments' | 'volumesMax' | 'bootId'>;

/** What changes by itself. */
export type NodeView = Pick<NodeRecord, 'macs' | 'interfaces' | 'targets' | 'segments'>;

/** Writes this node's record, and nobody else does. It is written when something changed, and else as rarely as life must be shown. */
export class NodeRecorder {
  readonly #nodes: Collection<NodeRecord>;
  readonly #isLeft: (address: string) => Promise<boolean>;
  #record: NodeRecord;
  /** Writes happen one after the other. */
  #tail: Promise<unknown> = Promise.resolve();
  /** By a clock that nobody sets: else a beat would be missed for as long as a clock is set back. */
  #writtenMs = -Infinity;
  #areAllReported = true;

  /**
   * @param staged what an earlier process of this boot has staged, as far as that is remembered
   * @param isLeft whether something of a volume at this address may be here all the same
   */
  constructor(
    nodes: Collection<NodeRecord>,
    facts: NodeFacts,
    staged: readonly StagedVolume[],
    isLeft = async (_address: string): Promise<boolean> => Promise.resolve(false),
  ) {
    this.#nodes = nodes;
    this.#isLeft = isLeft;
    const entries = staged.map(({ volumeId, epoch }) => [volumeId, { epoch, fenced: false }] as const);
    this.#record = { ...facts, macs: [], interfaces: [], targets: {}, staged: Object.fromEntries(entries), aliveAtMs: 0 };
  }

  get staged(): Readonly<Record<string, StagedRecord>> {
    return this.#record.staged;
  }

  /** Where this node is, as far as is known. */
  get segments(): Readonly<Record<string, string>> {
    return this.#record.segments;
  }

  /** Whether all that was seen last had room in the record. */
  get areAllReported(): boolean {
    return this.#areAllReported;
  }

  /** Says that a volume may be written from here. The store knows it for good when this resolves. */
  async announce(volumeId: string, epoch: number): Promise<void> {
    const fenced = this.#record.staged[volumeId]?.epoch === epoch && this.#record.staged[volumeId].fenced;
    await this.#change((record) => ({ ...record, staged: { ...record.staged, [volumeId]: { epoch, fenced } } }));
  }

  /** Says that no byte of a volume will be written from here any more. */
  async withdraw(volumeId: string): Promise<void> {
    await this.#change((record) => {
      const { [volumeId]: _gone, ...staged } = record.staged;
      return { ...record, staged };
    });
  }

  /** Which of the staged volumes have been taken over by another node. */
  async markFenced(volumeIds: ReadonlySet<string>): Promise<void> {
    await this.#change((record) => {
      const entries = Object.entries(record.staged).map(([id, { epoch }]) => [id, { epoch, fenced: volumeIds.has(id) }] as const);
      return { ...record, staged: Object.fromEntries(entries) };
    });
  }

  /** What the node sees now, as far as there is room for it; also when nothing has changed, so that it is seen to live. */
  async report(view: Partial<NodeView>): Promise<void> {
    await this.#change((record) => {
      const { targets } = view;
      if (targets === undefined) return { ...record, ...view };
      const inUse = new Set(Object.keys(record.staged).map((volumeId) => parseVolumeId(volumeId)?.address ?? ''));
      const reported = withRoom(targets, inUse);
      this.#areAllReported = reported === targets;
      return { ...record, ...view, targets: reported };
    });
  }

  async #change(decide: (record: NodeRecord) => NodeRecord): Promise<void> {
    const turn = this.#tail.then(async () => this.#write(decide));
    this.#tail = turn.catch(() => undefined);
    await turn;
  }

  async #write(decide: (record: NodeRecord) => NodeRecord): Promise<void> {
    if (this.#writtenMs === -Infinity) await this.#keepLeft();
    const next = decide(this.#record);
    const nowMs = performance.now();
    if (isDeepStrictEqual(next, this.#record) && nowMs - this.#writtenMs < NODE_HEARTBEAT_MS) return;
    const written = { ...next, aliveAtMs: Date.now() };
    await this.#put(written);
    this.#record = written;
    this.#writtenMs = nowMs;
  }

  /**
   * What an earlier process of this boot has said to be staged is not gone because its file is damaged or lost: were it left out, the
   * volume would be taken from here while it is mounted.
   */
  async #keepLeft(): Promise<void> {
    const { nodeId, bootId, staged } = this.#record;
    const found = (await this.#nodes.get(nodeId))?.value;
    if (found?.bootId !== bootId) return;
    for (const [volumeId, entry] of Object.entries(found.staged)) {
      if (staged[volumeId] !== undefined || !(await this.#isLeft(parseVolumeId(volumeId)?.address ?? ''))) continue;
      this.#record = { ...this.#record, staged: { ...this.#record.staged, [volumeId]: entry } };
    }
  }

  async #put(record: NodeRecord): Promise<void> {
    for (;;) {
      const found = await this.#nodes.get(record.nodeId);
      if (found !== undefined) this.#requireOurs(found.value, record);
      try {
        if (found === undefined) await this.#nodes.create(record.nodeId, record);
        else await this.#nodes.update(record.nodeId, found.version, record);
        return;
      } catch (error) {
        // Somebody, a person perhaps, changed or removed it in this moment: ours is what counts.
        if (!isConflict(error)) throw error;
      }
    }
  }

  /**
   * Two machines of one name would take each other's volumes for unstaged, and let third ones have them. A record of another boot is
   * this machine's own while it has the same interfaces, or nothing staged; and only until this boot has written its own.
   */
  #requireOurs(found: NodeRecord, record: NodeRecord): void {
    if (found.bootId === record.bootId) return;
    const isFirst = this.#writtenMs === -Infinity;
    const isHarmless = Object.keys(found.staged).length === 0;
    if (isFirst && (isHarmless || found.macs.some((mac) => record.macs.includes(mac)))) return;
    if (isFirst && record.macs.length === 0) {
      throw new VolumeError(
        'unavailable',
        `cannot tell yet whether node ${record.nodeId} in the store is this machine before it was started anew: the initiator has to say ` +
          'first which interfaces are here',
      );
    }
    throw new VolumeError(
      'failed-precondition',
      `cannot write the record of node ${record.nodeId}: another machine uses this name (its storage interfaces: ` +
        `${found.macs.join(', ') || 'none'}; here: ${record.macs.join(', ') || 'none'}). Give each machine a --node-id of its own; ` +
        'if this is that machine with other interfaces, remove its record',
    );
  }
}
