import { isDeepStrictEqual } from 'node:util';
import { NODE_HEARTBEAT_MS } from '../volumes/liveness.ts';
import { VolumeError } from '../volumes/errors.ts';
import type { NodeRecord, SightRecord, StagedRecord } from '../volumes/records.ts';
import { recordRemoval } from '../volumes/remedies.ts';
import { isConflict, type Collection } from '../volumes/store.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { withRoom } from './sights-room.ts';
import type { StagedVolume } from './staging/staged-volume.ts';

/** What a node is told to be. */
export type NodeFacts = Pick<NodeRecord, 'nodeId' | 'segments' | 'volumesMax' | 'bootId'>;

/** What changes by itself. */
export type NodeView = Pick<NodeRecord, 'macs' | 'interfaces' | 'targets' | 'segments'>;

/** What has to be known of a record that somebody else has written: each is answered by whoever can. */
export interface NodeQuestions {
  /** Whether something of a volume at this address may be on this machine all the same; nothing is, when left out. */
  readonly isLeft?: (address: string) => Promise<boolean>;
  /** Whether a volume is published to this node, with this epoch; each is, when left out. */
  readonly isPublished?: (volumeId: string, epoch: number) => Promise<boolean>;
}

/**
 * From so many targets on, a record is too large to be written for every config string that has changed: each volume that is made or
 * wiped somewhere changes one, and all nodes that see its target would write theirs. One that has changed nothing else waits for so long
 * since the last.
 */
export const MANY_TARGETS = 256;
export const STRINGS_WAIT_MS = 60_000;

/** Writes this node's record, and nobody else does. It is written when something changed, and else as rarely as life must be shown. */
export class NodeRecorder {
  readonly #nodes: Collection<NodeRecord>;
  readonly #questions: NodeQuestions;
  readonly #steadyMs: () => number;
  #record: NodeRecord;
  /** Writes happen one after the other. */
  #tail: Promise<unknown> = Promise.resolve();
  /** By a clock that nobody sets: else a beat would be missed for as long as a clock is set back. */
  #writtenMs = -Infinity;
  /** When something in it had changed, by the same clock. */
  #changedMs = -Infinity;
  #areAllReported = true;
  #refusal: string | undefined;

  /** @param staged what an earlier process of this boot has staged, as far as that is remembered */
  constructor(
    nodes: Collection<NodeRecord>,
    facts: NodeFacts,
    staged: readonly StagedVolume[],
    questions: NodeQuestions = {},
    steadyMs = (): number => performance.now(),
  ) {
    this.#nodes = nodes;
    this.#steadyMs = steadyMs;
    this.#questions = questions;
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

  /** Why this node has no record of its own, where a person has to see to that. */
  get refusal(): string | undefined {
    return this.#refusal;
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

  /**
   * What the node sees now, as far as there is room for it; also when nothing has changed, so that it is seen to live.
   * @param isUrgent somebody waits for it
   */
  async report(view: Partial<NodeView>, isUrgent = false): Promise<void> {
    await this.#change((record) => {
      const { targets } = view;
      if (targets === undefined) return { ...record, ...view };
      if (!isUrgent && this.#canWait(record, targets)) return { ...record, ...view, targets: record.targets };
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
    const nowMs = this.#steadyMs();
    const isSame = isDeepStrictEqual(next, this.#record);
    if (isSame && nowMs - this.#writtenMs < NODE_HEARTBEAT_MS) return;
    const written = { ...next, aliveAtMs: Date.now() };
    // What this machine is does not depend on whether that could be written: whoever announces a volume is told the right reason.
    if (this.#writtenMs === -Infinity) this.#record = { ...this.#record, macs: next.macs };
    await this.#put(written);
    this.#record = written;
    this.#writtenMs = nowMs;
    if (!isSame) this.#changedMs = nowMs;
  }

  #canWait({ targets: before }: NodeRecord, now: NodeView['targets']): boolean {
    const names = Object.keys(now);
    if (names.length < MANY_TARGETS || this.#steadyMs() - this.#changedMs >= STRINGS_WAIT_MS) return false;
    return names.length === Object.keys(before).length && names.every((name) => isSameButString(before[name], now[name]));
  }

  /**
   * What an earlier process of this boot has said to be staged is not gone because its file is damaged or lost: were it left out, the
   * volume would be taken from here while it is mounted.
   */
  async #keepLeft(): Promise<void> {
    const { nodeId, bootId, staged } = this.#record;
    const found = (await this.#nodes.get(nodeId))?.value;
    const { isLeft } = this.#questions;
    if (found?.bootId !== bootId || isLeft === undefined) return;
    for (const [volumeId, entry] of Object.entries(found.staged)) {
      if (staged[volumeId] !== undefined || !(await isLeft(parseVolumeId(volumeId)?.address ?? ''))) continue;
      this.#record = { ...this.#record, staged: { ...this.#record.staged, [volumeId]: entry } };
    }
  }

  async #put(record: NodeRecord): Promise<void> {
    for (;;) {
      const found = await this.#nodes.get(record.nodeId);
      if (found !== undefined) await this.#requireOurs(found.value, record);
      this.#refusal = undefined;
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
   * this machine's own while it has the same interfaces, or has nothing staged that may still be written: a machine that took the name
   * of one that died need not have its interfaces. And only until this boot has written its own.
   */
  async #requireOurs(found: NodeRecord, record: NodeRecord): Promise<void> {
    if (found.bootId === record.bootId) return;
    const isFirst = this.#writtenMs === -Infinity;
    if (isFirst && (found.macs.some((mac) => record.macs.includes(mac)) || !(await this.#mayWrite(found)))) return;
    if (isFirst && record.macs.length === 0) {
      throw new VolumeError(
        'unavailable',
        `cannot tell yet whether node ${record.nodeId} in the store is this machine before it was started anew: the initiator has to say ` +
          'first which interfaces are here',
      );
    }
    this.#refusal =
      `cannot write the record of node ${record.nodeId}: another machine uses this name (its storage interfaces: ` +
      `${found.macs.join(', ') || 'none'}; here: ${record.macs.join(', ') || 'none'}). Give each machine a name (--node-id) of its ` +
      `own; if this is that machine with other interfaces, or that one is off for good, ${recordRemoval(record.nodeId)}`;
    throw new VolumeError('failed-precondition', this.#refusal);
  }

  /** Whether a machine may write to a volume that it has said to have: the volume may have been taken from it since. */
  async #mayWrite({ staged }: NodeRecord): Promise<boolean> {
    const { isPublished } = this.#questions;
    for (const [volumeId, { epoch }] of Object.entries(staged)) {
      if (isPublished === undefined || (await isPublished(volumeId, epoch))) return true;
    }
    return false;
  }
}

function isSameButString(before: SightRecord | undefined, now: SightRecord): boolean {
  return before !== undefined && isDeepStrictEqual({ ...before, configString: '' }, { ...now, configString: '' });
}
