import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate as otherWork } from 'node:timers/promises';
import { VolumeError } from '../volumes/errors.ts';
import { ConflictError, type Collection, type Versioned } from '../volumes/store.ts';
import { readFailure, writeFailure } from './disk-failure.ts';
import { removeDurably, writeDurably } from '../system/durable-file.ts';
import type { FolderWatcher } from './folder-watcher.ts';
import {
  decodeRecord,
  encodeRecord,
  fileNameOf,
  recordNameOf,
  RECORD_BYTES_MAX,
  versionAfter,
  type StoredRecord,
} from './record-file.ts';
import type { StoreLock } from './store-lock.ts';

/** Files that a listing reads before it lets others work. */
const LIST_ROW = 64;

/** What a collection is made of. */
export interface CollectionParts {
  readonly folder: string;
  /** One for the whole store. */
  readonly lock: StoreLock;
  readonly watcher: FolderWatcher;
  /** What is wrong with a record that was read; undefined when it can be trusted. */
  readonly problemOf: (name: string, value: unknown) => string | undefined;
  /** Told about each damaged record that a listing leaves out. */
  readonly onProblem: (message: string) => void;
}

/**
 * A folder with one file for each record. Readers take no lock: a rename shows them the old file or the new one. They may see a write
 * some milliseconds before its promise resolves, so one that only a power failure could still undo.
 */
export class DirectoryCollection<T> implements Collection<T> {
  readonly #parts: CollectionParts;
  #isClosed = false;

  constructor(parts: CollectionParts) {
    this.#parts = parts;
  }

  async get(name: string): Promise<Versioned<T> | undefined> {
    this.#mustBeOpen();
    await otherWork();
    return this.#read(name);
  }

  /** Leaves out damaged records, which `onProblem` hears of, so that one of them doesn't stop the work on all others. */
  async list(): Promise<readonly Versioned<T>[]> {
    this.#mustBeOpen();
    const names = this.#names();
    const records: Versioned<T>[] = [];
    for (const [index, name] of names.entries()) {
      if (index % LIST_ROW === 0) await otherWork();
      try {
        const record = this.#read(name);
        if (record !== undefined) records.push(record);
      } catch (error) {
        this.#parts.onProblem((error as Error).message);
      }
    }
    return records;
  }

  async create(name: string, value: T): Promise<Versioned<T>> {
    return this.#alone(async () => {
      if (this.#read(name) !== undefined)
        throw new ConflictError(`cannot make the record ${name}: there is one already; read it`);
      return this.#write(name, versionAfter(undefined), value);
    });
  }

  async update(name: string, version: string, value: T): Promise<Versioned<T>> {
    return this.#alone(async () => {
      this.#mustBeAt(name, version, 'change');
      return this.#write(name, versionAfter(version), value);
    });
  }

  async delete(name: string, version: string): Promise<void> {
    return this.#alone(async () => {
      this.#mustBeAt(name, version, 'delete');
      const path = this.#pathOf(name);
      await removeDurably(path).catch((error: unknown) => {
        throw writeFailure(`delete the record ${name}, ${path}`, error);
      });
    });
  }

  watch(changed: (names: readonly string[]) => void): () => void {
    this.#mustBeOpen();
    return this.#parts.watcher.watch(changed);
  }

  /** Later calls are refused; those under way go on. */
  close(): void {
    this.#isClosed = true;
    this.#parts.watcher.close();
  }

  async #alone<R>(work: () => Promise<R>): Promise<R> {
    this.#mustBeOpen();
    return this.#parts.lock.run(work);
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new VolumeError('unavailable', `the store in ${this.#parts.folder} is closed`);
  }

  #mustBeAt(name: string, version: string, what: string): void {
    const found = this.#read(name)?.version;
    if (found === version) return;
    const why = found === undefined ? 'there is none' : `it is at version ${found}, not ${version}`;
    throw new ConflictError(`cannot ${what} the record ${name}: ${why}; read it again`);
  }

  async #write(name: string, version: string, value: T): Promise<Versioned<T>> {
    const path = this.#pathOf(name);
    const text = encodeRecord({ version, value });
    if (Buffer.byteLength(text) > RECORD_BYTES_MAX) {
      throw new VolumeError('resource-exhausted', `cannot write the record ${name}: it has more than ${RECORD_BYTES_MAX} bytes`);
    }
    await writeDurably(path, text).catch((error: unknown) => {
      throw writeFailure(`write the record ${name}, ${path}`, error);
    });
    return { name, version, value };
  }

  #read(name: string): Versioned<T> | undefined {
    const path = this.#pathOf(name);
    const content = readWhole(path, name);
    if (content === undefined) return undefined;
    const record = typeof content === 'string' ? content : decodeRecord(content);
    const problem = typeof record === 'string' ? record : this.#parts.problemOf(name, record.value);
    if (problem !== undefined) {
      throw new VolumeError(
        'internal',
        `cannot use the record ${name}, ${path}: ${problem}; restore the file, or remove it if what it said may be forgotten`,
      );
    }
    const { version, value } = record as StoredRecord;
    return { name, version, value: value as T };
  }

  #names(): readonly string[] {
    const { folder } = this.#parts;
    try {
      return readdirSync(folder)
        .flatMap((fileName) => recordNameOf(fileName) ?? [])
        .toSorted();
    } catch (error) {
      throw readFailure(`the records in ${folder}`, error);
    }
  }

  #pathOf(name: string): string {
    const fileName = fileNameOf(name);
    if (fileName !== undefined) return join(this.#parts.folder, fileName);
    throw new VolumeError(
      'invalid-argument',
      `cannot keep a record named '${name.slice(0, 300)}': the name is empty or too long`,
    );
  }
}

/**
 * A file's content; a text when it is too large to be a record; undefined when there is none, in a folder that is there. Where the
 * folder is gone nothing is known: a disk that was lost has deleted no volume.
 */
function readWhole(path: string, name: string): Uint8Array | string | undefined {
  try {
    return contentOf(path);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT' && existsSync(dirname(path))) return undefined;
    throw readFailure(`the record ${name}, ${path}`, error);
  }
}

function contentOf(path: string): Uint8Array | string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    if (size > RECORD_BYTES_MAX) return `it has ${size} bytes, and no record has more than ${RECORD_BYTES_MAX}`;
    const content = Buffer.allocUnsafe(size);
    return content.subarray(0, readSync(file, content, 0, size, 0));
  } finally {
    closeSync(file);
  }
}
