import { VolumeError } from '../volumes/errors.ts';
import { ConflictError, type Collection, type Versioned } from '../volumes/store.ts';
import type { ApiAnswer, ApiConnection, ApiRequest } from './api-connection.ts';
import { answered, refusal, saysThereIsNone, type Attempt } from './api-failure.ts';
import type { MetadataWatcher } from './metadata-watcher.ts';
import { METADATA_ONLY } from './metadata.ts';
import { ObjectListing, type Listed } from './object-listing.ts';
import { objectNameOf } from './object-names.ts';
import { API_VERSION, type Resource } from './resources.ts';

const CONFLICT = 409;
/** What a record was read at. Anything else was never a version. */
const VERSION = /^[1-9]\d*$/;
/** A member that the definitions don't know would be lost without a word. */
const WRITING = { fieldManager: 'aoe-csi', fieldValidation: 'Strict' } as const;
/** Set only to make a write that changes nothing else a write. */
const REWRITTEN = 'aoe.csi.dev/rewritten';

export interface CollectionParts<T = unknown> {
  readonly connection: ApiConnection;
  readonly resource: Resource;
  readonly namespace: string;
  /** Of the collection, in its namespace. */
  readonly path: string;
  /** Only such objects are listed, and told of by the watcher: see MetadataWatcher. */
  readonly fieldSelector?: string | undefined;
  /** Objects in one answer to a listing. */
  readonly page: number;
  readonly watcher: MetadataWatcher;
  /** What is wrong with a record that was read; undefined when it can be trusted. */
  readonly problemOf: (name: string, value: unknown) => string | undefined;
  /** Told about each damaged record that a listing leaves out. */
  readonly onProblem: (message: string) => void;
  /** What lists read is kept, as this makes it: see ObjectListing. Left out, nothing is. */
  readonly kept?: (value: T) => T;
  /** For tests. */
  readonly steadyMs?: () => number;
}

interface StoredObject {
  readonly metadata: ObjectMetadata;
  readonly spec: unknown;
}

interface ObjectMetadata {
  readonly name: string;
  readonly resourceVersion: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The objects of one kind in a namespace, each with a record in its `spec`. Reads see every write before. */
export class ObjectCollection<T> implements Collection<T> {
  readonly #parts: CollectionParts<T>;
  readonly #listing: ObjectListing<T, StoredObject>;
  #isClosed = false;

  constructor(parts: CollectionParts<T>) {
    this.#parts = parts;
    const { kept, resource } = parts;
    const attempt = this.#attempt(`list ${resource.plural}`);
    const read = (name: string, object: StoredObject): Listed<T> => {
      const listed = this.#listed(name, object);
      const { record } = listed;
      return record === undefined || kept === undefined
        ? listed
        : { ...listed, record: { ...record, value: kept(record.value) } };
    };
    this.#listing = new ObjectListing({ ...parts, attempt, read, isRemembering: kept !== undefined });
  }

  async get(name: string): Promise<Versioned<T> | undefined> {
    const what = `read the record ${name}`;
    const answer = await this.#ask(what, { method: 'GET', path: this.#pathOf(name) });
    if (saysThereIsNone(answer, this.#objectName(name))) return undefined;
    this.#require(answer, 200, what);
    return this.#decoded(name, answer.body as StoredObject);
  }

  /** Leaves out damaged records, which `onProblem` hears of, so that one of them doesn't stop the work on all others. */
  async list(): Promise<readonly Versioned<T>[]> {
    this.#mustBeOpen();
    const attempt = this.#attempt(`list ${this.#parts.resource.plural}`);
    const listed = [...(await answered(attempt, false, async () => this.#listing.read())).values()];
    for (const { problem } of listed) if (problem !== undefined) this.#parts.onProblem(problem);
    const records = listed.flatMap(({ record }) => (record === undefined ? [] : [record]));
    return records.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async create(name: string, value: T): Promise<Versioned<T>> {
    const { path, resource } = this.#parts;
    const what = `make the record ${name}`;
    const body = { apiVersion: API_VERSION, kind: resource.kind, metadata: { name: this.#objectName(name) }, spec: value };
    const answer = await this.#ask(what, { method: 'POST', path, query: WRITING, accept: METADATA_ONLY, body });
    if (answer.status === CONFLICT) throw new ConflictError(`cannot ${what}: there is one already; read it`);
    this.#require(answer, 201, what);
    return { name, version: metadataOf(answer).resourceVersion, value };
  }

  async update(name: string, version: string, value: T): Promise<Versioned<T>> {
    const spec = { op: 'replace', path: '/spec', value };
    const written = await this.#patch(name, version, [spec]);
    if (written.resourceVersion !== version) return { name, version: written.resourceVersion, value };
    // It was the same: the server has written nothing, and others who have read this version could still write at it.
    const annotations = { ...written.annotations, [REWRITTEN]: `after ${version}` };
    const again = await this.#patch(name, version, [{ op: 'add', path: '/metadata/annotations', value: annotations }]);
    return { name, version: again.resourceVersion, value };
  }

  async delete(name: string, version: string): Promise<void> {
    const what = `delete the record ${name}`;
    this.#mustBeVersion(what, version);
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion: version } };
    const answer = await this.#ask(what, { method: 'DELETE', path: this.#pathOf(name), body });
    this.#mustNotConflict(what, name, answer);
    this.#require(answer, 200, what);
  }

  watch(changed: (names: readonly string[]) => void): () => void {
    this.#mustBeOpen();
    return this.#parts.watcher.watch(changed);
  }

  /** Later calls are refused. */
  close(): void {
    this.#isClosed = true;
    this.#parts.watcher.close();
  }

  /** Whatever a person has added to the metadata stays. */
  async #patch(name: string, version: string, operations: readonly object[]): Promise<ObjectMetadata> {
    const what = `write the record ${name}`;
    this.#mustBeVersion(what, version);
    const answer = await this.#ask(what, {
      method: 'PATCH',
      path: this.#pathOf(name),
      query: WRITING,
      accept: METADATA_ONLY,
      contentType: 'application/json-patch+json',
      body: [{ op: 'replace', path: '/metadata/resourceVersion', value: version }, ...operations],
    });
    this.#mustNotConflict(what, name, answer);
    this.#require(answer, 200, what);
    return metadataOf(answer);
  }

  async #ask(what: string, request: ApiRequest): Promise<ApiAnswer> {
    this.#mustBeOpen();
    return answered(this.#attempt(what), request.method !== 'GET', async () => this.#parts.connection.request(request));
  }

  #decoded(name: string, object: StoredObject): Versioned<T> {
    const { record, problem = '' } = this.#listed(name, object);
    if (record === undefined) throw new VolumeError('internal', problem);
    return record;
  }

  #listed(name: string, { metadata, spec }: StoredObject): Listed<T> {
    const { resource, namespace, problemOf } = this.#parts;
    const version = metadata.resourceVersion;
    const problem = problemOf(name, spec);
    if (problem === undefined) return { version, record: { name, version, value: spec as T } };
    return {
      version,
      problem:
        `cannot use the record ${name}: ${problem}; repair it with \`kubectl edit ${resource.singular} -n ${namespace} ${metadata.name}\`, ` +
        'or delete it if what it said may be forgotten',
    };
  }

  #attempt(what: string): Attempt {
    const { resource, namespace } = this.#parts;
    return { what, resource, namespace };
  }

  #require(answer: ApiAnswer, status: number, what: string): void {
    if (answer.status !== status) throw refusal(this.#attempt(what), answer);
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new VolumeError('unavailable', `the store in namespace ${this.#parts.namespace} is closed`);
  }

  #mustBeVersion(what: string, version: string): void {
    if (!VERSION.test(version)) throw new ConflictError(`cannot ${what}: it never was at version '${version}'; read it again`);
  }

  #mustNotConflict(what: string, name: string, answer: ApiAnswer): void {
    const isNone = saysThereIsNone(answer, this.#objectName(name));
    if (!isNone && answer.status !== CONFLICT) return;
    throw new ConflictError(`cannot ${what}: ${isNone ? 'there is none' : 'somebody else has written it'}; read it again`);
  }

  #pathOf(name: string): string {
    return `${this.#parts.path}/${this.#objectName(name)}`;
  }

  #objectName(name: string): string {
    const objectName = objectNameOf(name);
    if (objectName !== undefined) return objectName;
    throw new VolumeError(
      'invalid-argument',
      `cannot keep a record named '${name.slice(0, 300)}': the name is empty or too long`,
    );
  }
}

function metadataOf({ body }: ApiAnswer): ObjectMetadata {
  return (body as { readonly metadata: ObjectMetadata }).metadata;
}
