import { formatConfigString } from '../../src/volumes/claim.ts';
import type {
  DiskIdentity,
  FencingLevel,
  NodeRecord,
  SightRecord,
  StagedRecord,
  TargetRecord,
} from '../../src/volumes/records.ts';
import { change, isConflict, type Store } from '../../src/volumes/store.ts';

export const CLUSTER_ID = 'test-cluster';
export const NODE_SIZE_BYTES = 2 ** 30;

/** What a scripted node is told to be and do. */
export interface ScriptedNodeOptions {
  readonly nodeId: string;
  readonly addresses: readonly string[];
  readonly sizeBytes?: number;
  readonly fencing?: FencingLevel;
  readonly volumesMax?: number;
  readonly segments?: Readonly<Record<string, string>>;
  readonly interfaces?: readonly string[];
}

/**
 * A node as the controller sees it: a record in the store, and tasks that get done. There is no storage network; what would be on
 * the targets is in `strings`, and what can go wrong there is said beforehand.
 */
export class ScriptedNode {
  /** Config strings on the targets, by address; several nodes may share them. */
  readonly strings: Map<string, string>;
  /** What a task of this kind, or of this kind on this target (`claim e1.0`), ends with instead of success. */
  readonly failures = new Map<string, string>();
  /** Kinds of tasks that are not taken up. */
  readonly held = new Set<TargetTask['kind']>();
  /** Tasks carried out, `claim e1.0`. */
  readonly done: string[] = [];
  readonly #store: Store;
  readonly #options: ScriptedNodeOptions;
  readonly #sizes = new Map<string, number>();
  readonly #lost = new Set<string>();
  #staged: Readonly<Record<string, StagedRecord>> = {};
  #isAlive = true;
  #stopWatching: () => void = () => undefined;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(store: Store, options: ScriptedNodeOptions, strings = new Map<string, string>()) {
    this.#store = store;
    this.#options = options;
    this.strings = strings;
  }

  async start(): Promise<this> {
    await this.report();
    this.#stopWatching = this.#store.targets.watch(() => this.look());
    this.look();
    return this;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopWatching();
    await this.#work;
  }

  /** Looks for tasks. */
  look(): void {
    this.#work = this.#work.then(async () => this.#doTasks());
  }

  async stage(volumeId: string, epoch = 1): Promise<void> {
    this.#staged = { ...this.#staged, [volumeId]: { epoch, fenced: false } };
    await this.report();
  }

  async unstage(volumeId: string): Promise<void> {
    const { [volumeId]: _gone, ...staged } = this.#staged;
    this.#staged = staged;
    await this.report();
  }

  async markFenced(volumeId: string): Promise<void> {
    this.#staged = { ...this.#staged, [volumeId]: { epoch: 1, fenced: true } };
    await this.report();
  }

  /** From now on it has said nothing for a long time. */
  async fallSilent(): Promise<void> {
    this.#isAlive = false;
    for (const kind of ['claim', 'wipe', 'fence'] as const) this.held.add(kind);
    await this.report();
  }

  async resize(address: string, sizeBytes: number): Promise<void> {
    this.#sizes.set(address, sizeBytes);
    await this.report();
  }

  /** Sees a target no more, or again. */
  async setSeen(address: string, isSeen: boolean): Promise<void> {
    if (isSeen) this.#lost.delete(address);
    else this.#lost.add(address);
    await this.report();
  }

  async report(): Promise<void> {
    const { nodes } = this.#store;
    const { nodeId } = this.#options;
    for (;;) {
      const found = await nodes.get(nodeId);
      try {
        if (found === undefined) await nodes.create(nodeId, this.#record());
        else await nodes.update(nodeId, found.version, this.#record());
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  #record(): NodeRecord {
    const { nodeId, addresses, volumesMax = 16, segments = {}, interfaces = ['eth1'] } = this.#options;
    const seen = addresses.filter((address) => !this.#lost.has(address));
    return {
      nodeId,
      macs: ['02:00:00:00:00:01'],
      interfaces,
      segments,
      volumesMax,
      bootId: 'boot',
      targets: Object.fromEntries(seen.map((address) => [address, this.#sight(address)])),
      staged: this.#staged,
      aliveAtMs: this.#isAlive ? Date.now() : 0,
    };
  }

  #sight(address: string): SightRecord {
    const { sizeBytes = NODE_SIZE_BYTES, fencing = 'reserve', interfaces = ['eth1'] } = this.#options;
    const identity: DiskIdentity = {
      serial: `S-${address}`,
      model: 'Scripted',
      sizeBytes: this.#sizes.get(address) ?? sizeBytes,
    };
    return { identity, configString: this.strings.get(address) ?? '', interfaces, fencing };
  }

  async #doTasks(): Promise<void> {
    const targets = this.#isStopped ? [] : await this.#store.targets.list();
    for (const { name, value } of targets) {
      const { task } = value;
      const isMine = task?.nodeId === this.#options.nodeId && (task.state === 'waiting' || task.state === 'running');
      if (task === undefined || !isMine || this.held.has(task.kind)) continue;
      const next = this.#carryOut(value, task);
      await this.report();
      // First: who sees what the record says then looks here.
      this.done.push(`${task.kind} ${name}`);
      await change(this.#store.targets, name, (record) => (record.task?.id === task.id ? next(record) : undefined));
    }
  }

  #carryOut({ address, claim }: TargetRecord, task: TargetTask): (record: TargetRecord) => TargetRecord {
    const message = this.failures.get(task.kind) ?? this.failures.get(`${task.kind} ${address}`);
    if (message !== undefined) return (record) => ({ ...record, task: { ...task, state: 'failed', message } });
    if (task.kind === 'fence') return (record) => ({ ...record, task: { ...task, state: 'done' } });
    if (task.kind === 'wipe') {
      this.strings.delete(address);
      return (record) => ({ ...record, state: 'Available', reason: '', claim: undefined, task: undefined });
    }
    const wanted = formatConfigString(CLUSTER_ID, claim?.claim ?? '');
    const found = this.strings.get(address) ?? wanted;
    if (found !== wanted) {
      if (claim?.confirmed === true) return (record) => ({ ...record, reason: found, task: undefined });
      return (record) => ({ ...record, state: 'Foreign', reason: found, claim: undefined, task: undefined });
    }
    this.strings.set(address, wanted);
    return (record) => ({ ...record, claim: record.claim && { ...record.claim, confirmed: true }, task: undefined });
  }
}

type TargetTask = NonNullable<TargetRecord['task']>;
