import type { Versioned } from '../volumes/store.ts';
import type { ApiConnection } from './api-connection.ts';
import { refusal, saysThereIsNone, type Attempt } from './api-failure.ts';
import { METADATA_LIST, METADATA_PAGE, selecting, type ObjectMetadata } from './metadata.ts';
import { recordNameOf } from './object-names.ts';
import { eachPage } from './pages.ts';

/** Objects that are read one by one at a time; where more than this part of all have changed, all are read. */
const READS_PARALLEL = 8;
const CHANGED_PART_MAX = 1 / 4;
/** Nothing is believed for longer: a server whose data was restored from a backup gives versions again that it has given before. */
export const BELIEVED_MS = 600_000;

/** An object as it was read: its record, or what is wrong with that. */
export interface Listed<T> {
  readonly version: string;
  readonly record?: Versioned<T>;
  readonly problem?: string;
}

export interface ListingParts<T, O extends ObjectMetadata> {
  readonly connection: ApiConnection;
  /** Of the collection, in its namespace. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  /** Objects in one answer. */
  readonly page: number;
  readonly attempt: Attempt;
  readonly read: (name: string, object: O) => Listed<T>;
  /**
   * Keep what was read, and read again only what has another version since. Objects are then as they are now, but not all at one
   * instant, and callers share them.
   */
  readonly isRemembering: boolean;
  /** For tests. */
  readonly steadyMs?: (() => number) | undefined;
}

/** All objects of a collection, by the names of their records. */
export class ObjectListing<T, O extends ObjectMetadata> {
  readonly #parts: ListingParts<T, O>;
  #known: ReadonlyMap<string, Listed<T>> = new Map();
  #allReadMs = -Infinity;

  constructor(parts: ListingParts<T, O>) {
    this.#parts = parts;
  }

  /** @throws VolumeError, UnreachableError */
  async read(): Promise<ReadonlyMap<string, Listed<T>>> {
    const { isRemembering, steadyMs = () => performance.now() } = this.#parts;
    if (!isRemembering) return this.#readAll();
    const nowMs = steadyMs();
    const isOld = nowMs - this.#allReadMs >= BELIEVED_MS;
    // With an older view, if another call is faster: what has changed is found by its version in any case.
    const found = isOld ? await this.#readAll() : await this.#readChanged(this.#known);
    if (isOld) this.#allReadMs = nowMs;
    this.#known = found;
    return found;
  }

  async #readAll(): Promise<ReadonlyMap<string, Listed<T>>> {
    const { page, read } = this.#parts;
    const found = new Map<string, Listed<T>>();
    await this.#each<O>(page, undefined, (name, object) => found.set(name, read(name, object)));
    return found;
  }

  async #readChanged(known: ReadonlyMap<string, Listed<T>>): Promise<ReadonlyMap<string, Listed<T>>> {
    const found = new Map<string, Listed<T>>();
    const changed: { readonly name: string; readonly objectName: string }[] = [];
    await this.#each<ObjectMetadata>(METADATA_PAGE, METADATA_LIST, (name, { metadata }) => {
      const before = known.get(name);
      if (before?.version === metadata.resourceVersion) found.set(name, before);
      else changed.push({ name, objectName: metadata.name });
    });
    if (changed.length > READS_PARALLEL && changed.length > found.size * CHANGED_PART_MAX) return this.#readAll();
    for (let at = 0; at < changed.length; at += READS_PARALLEL) {
      const row = changed.slice(at, at + READS_PARALLEL);
      const objects = await Promise.all(row.map(async ({ objectName }) => this.#readOne(objectName)));
      for (const [index, object] of objects.entries()) {
        const { name } = row[index];
        if (object !== undefined) found.set(name, this.#parts.read(name, object));
      }
    }
    return found;
  }

  /** Undefined when it has gone. */
  async #readOne(objectName: string): Promise<O | undefined> {
    const { connection, path, attempt } = this.#parts;
    const answer = await connection.request({ method: 'GET', path: `${path}/${objectName}` });
    if (saysThereIsNone(answer, objectName)) return undefined;
    if (answer.status !== 200) throw refusal(attempt, answer);
    return answer.body as O;
  }

  async #each<K extends ObjectMetadata>(page: number, accept: string | undefined, found: (name: string, object: K) => void) {
    const { connection, path, fieldSelector, attempt } = this.#parts;
    const request = {
      method: 'GET',
      path,
      query: selecting(fieldSelector),
      ...(accept === undefined ? {} : { accept }),
    } as const;
    await eachPage<K>(connection, request, page, attempt, (object) => {
      const name = recordNameOf(object.metadata.name);
      if (name !== undefined) found(name, object);
    });
  }
}
