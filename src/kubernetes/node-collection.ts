import { isDeepStrictEqual } from 'node:util';
import type { NodeRecord } from '../volumes/records.ts';
import type { Collection, Versioned } from '../volumes/store.ts';
import type { NodeLeases } from './node-leases.ts';
import type { ObjectCollection } from './object-collection.ts';

/**
 * Records of nodes. What changes is written as it is for targets; that a node lives (`aliveAtMs`), and nothing else, goes into its Lease
 * and is no write of the record: its version stays, and who watches hears nothing.
 */
export class NodeCollection implements Collection<NodeRecord> {
  readonly #objects: ObjectCollection<NodeRecord>;
  readonly #leases: NodeLeases;
  /** What was last read or written here: a node writes one record, its own. */
  #last: Versioned<NodeRecord> | undefined;

  constructor(objects: ObjectCollection<NodeRecord>, leases: NodeLeases) {
    this.#objects = objects;
    this.#leases = leases;
  }

  async get(name: string): Promise<Versioned<NodeRecord> | undefined> {
    const found = await this.#objects.get(name);
    if (found === undefined) return undefined;
    this.#remember(found);
    return withBeat(found, await this.#leases.aliveAtMs(name));
  }

  async list(): Promise<readonly Versioned<NodeRecord>[]> {
    const [found, beats] = await Promise.all([this.#objects.list(), this.#leases.all()]);
    return found.map((record) => withBeat(record, beats.get(record.name) ?? 0));
  }

  async create(name: string, value: NodeRecord): Promise<Versioned<NodeRecord>> {
    return this.#remember(await this.#objects.create(name, value));
  }

  async update(name: string, version: string, value: NodeRecord): Promise<Versioned<NodeRecord>> {
    const last = this.#last;
    if (last?.name === name && last.version === version && isOnlyBeat(last.value, value)) {
      await this.#leases.renew(name, value.aliveAtMs);
      return { name, version, value };
    }
    return this.#remember(await this.#objects.update(name, version, value));
  }

  /** Its Lease goes first: nobody would look for it afterwards. A node that lives makes it anew. */
  async delete(name: string, version: string): Promise<void> {
    await this.#leases.delete(name);
    await this.#objects.delete(name, version);
  }

  watch(changed: (names: readonly string[]) => void): () => void {
    return this.#objects.watch(changed);
  }

  close(): void {
    this.#objects.close();
  }

  /** A copy: whoever has the record may do with it as he likes. */
  #remember(record: Versioned<NodeRecord>): Versioned<NodeRecord> {
    this.#last = JSON.parse(JSON.stringify(record)) as Versioned<NodeRecord>;
    return record;
  }
}

function isOnlyBeat(before: NodeRecord, after: NodeRecord): boolean {
  return isDeepStrictEqual({ ...before, aliveAtMs: 0 }, { ...after, aliveAtMs: 0 }) && before.aliveAtMs !== after.aliveAtMs;
}

function withBeat({ name, version, value }: Versioned<NodeRecord>, aliveAtMs: number): Versioned<NodeRecord> {
  return { name, version, value: { ...value, aliveAtMs: Math.max(value.aliveAtMs, aliveAtMs) } };
}
