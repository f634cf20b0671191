import { isDeepStrictEqual } from 'node:util';
import type { NodeRecord } from '../volumes/records.ts';
import type { Collection, Versioned } from '../volumes/store.ts';
import type { NodeLeases } from './node-leases.ts';
import type { ObjectCollection } from './object-collection.ts';

/**
 * Records of nodes. What changes is written as it is for targets; that a node lives (`aliveAtMs`), and nothing else, goes into its Lease
 * and is no write of the record: its version stays, and who watches hears nothing.
 *
 * Of the two times the later one counts: what else changes is written with the time into the record, and the Lease stays as it was. So
 * a node whose clock was set back says the time in both, or it would seem to be silent until the one before has come again.
 */
export class NodeCollection implements Collection<NodeRecord> {
  readonly #objects: ObjectCollection<NodeRecord>;
  readonly #leases: NodeLeases;
  /** What was last read or written here, without the time of its Lease: a node writes one record, its own. */
  #last: Versioned<NodeRecord> | undefined;
  /** The time of that record's Lease; 0 when there is none, or it is not known. */
  #leaseMs = 0;

  constructor(objects: ObjectCollection<NodeRecord>, leases: NodeLeases) {
    this.#objects = objects;
    this.#leases = leases;
  }

  async get(name: string): Promise<Versioned<NodeRecord> | undefined> {
    const found = await this.#objects.get(name);
    if (found === undefined) return undefined;
    const leaseMs = await this.#leases.aliveAtMs(name);
    this.#remember(found, leaseMs);
    return withBeat(found, leaseMs);
  }

  async list(): Promise<readonly Versioned<NodeRecord>[]> {
    const [found, beats] = await Promise.all([this.#objects.list(), this.#leases.all()]);
    return found.map((record) => withBeat(record, beats.get(record.name) ?? 0));
  }

  async create(name: string, value: NodeRecord): Promise<Versioned<NodeRecord>> {
    return this.#remember(await this.#objects.create(name, value));
  }

  async update(name: string, version: string, value: NodeRecord): Promise<Versioned<NodeRecord>> {
    const [last, leaseMs] = this.#last?.name === name ? [this.#last, this.#leaseMs] : [undefined, 0];
    if (last?.version === version && isOnlyBeat(last.value, value)) {
      await this.#renew(name, value.aliveAtMs);
      return { name, version, value };
    }
    const written = this.#remember(await this.#objects.update(name, version, value), leaseMs);
    if (leaseMs > value.aliveAtMs) await this.#renew(name, value.aliveAtMs);
    return written;
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

  async #renew(name: string, aliveAtMs: number): Promise<void> {
    await this.#leases.renew(name, aliveAtMs);
    if (this.#last?.name === name) this.#leaseMs = aliveAtMs;
  }

  /** A copy: whoever has the record may do with it as he likes. */
  #remember(record: Versioned<NodeRecord>, leaseMs = 0): Versioned<NodeRecord> {
    this.#last = JSON.parse(JSON.stringify(record)) as Versioned<NodeRecord>;
    this.#leaseMs = leaseMs;
    return record;
  }
}

/** One that goes back in time is more than that: the record has to say so, too. */
function isOnlyBeat(before: NodeRecord, after: NodeRecord): boolean {
  return before.aliveAtMs < after.aliveAtMs && isDeepStrictEqual({ ...before, aliveAtMs: 0 }, { ...after, aliveAtMs: 0 });
}

function withBeat({ name, version, value }: Versioned<NodeRecord>, aliveAtMs: number): Versioned<NodeRecord> {
  return { name, version, value: { ...value, aliveAtMs: Math.max(value.aliveAtMs, aliveAtMs) } };
}
