import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiConnection } from './api-connection.ts';
import { refusal, statusOf, type Attempt } from './api-failure.ts';
import { linesOf } from './json-lines.ts';
import { METADATA_LIST, METADATA_ONLY, METADATA_PAGE, selecting, type ObjectMetadata } from './metadata.ts';
import { recordNameOf } from './object-names.ts';
import { eachPage } from './pages.ts';

type Listener = (names: readonly string[]) => void;

/** Metadata can't be larger than an object in etcd. */
const EVENT_BYTES_MAX = 4 * 2 ** 20;
/** The server ends a watch after a while, so that clients spread over its replicas: about so many seconds. */
const WATCH_SECONDS = 300;
/** It says at least once a minute how far it is. Who hears nothing for so long is connected to nobody. */
const SILENCE_MS = 150_000;
/** Answers that say that a version can't be gone on from: no version, expired, not known. */
const LOST = [400, 410, 504];
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 10_000;
/** The second failure in a row is told, those after it are the same one. */
const TOLD_AT = 2;
/** A watch that lasted for so long was a good one. */
const GOOD_MS = 10_000;

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

export interface WatcherParts {
  readonly connection: ApiConnection;
  /** Of the collection, in its namespace. */
  readonly path: string;
  /** Tells of those objects only whose fields are so, e.g. `spec.task.nodeId=node-1`; what stops being so has changed, too. */
  readonly fieldSelector?: string | undefined;
  readonly attempt: Attempt;
  readonly onProblem: (message: string) => void;
  /** For tests; SILENCE_MS where it is left out. */
  readonly silenceMs?: number | undefined;
}

/**
 * Tells which objects of a collection have changed. Goes on where it was when the connection breaks or the server is started anew, and
 * compares all versions where that is not possible any more (410 Gone). Remembers a name and a version of each object, nothing else.
 */
export class MetadataWatcher {
  readonly #parts: WatcherParts;
  readonly #listeners = new Set<Listener>();
  readonly #pending = new Set<string>();
  readonly #closing = new AbortController();
  /** Name → version, as last told. */
  #known = new Map<string, string>();
  /** Everything up to here has been told; empty: not known, so that all has to be compared. */
  #version = '';
  #isFollowing = false;
  /** Attempts in a row that brought nothing. */
  #failures = 0;

  constructor(parts: WatcherParts) {
    this.#parts = parts;
  }

  /**
   * Notes what there is: every change from now on is told to those who watch then.
   * @throws VolumeError, UnreachableError
   */
  async begin(): Promise<void> {
    const { version } = await this.#list((name, itsVersion) => this.#known.set(name, itsVersion));
    this.#version = version;
  }

  /** `listener` must not throw. It hears of every change from now on, never before this returns. Returns how to stop. */
  watch(listener: Listener): () => void {
    const own: Listener = (names) => listener(names);
    this.#listeners.add(own);
    // Once begun it goes on: who waits for a record watches for a moment, and again and again.
    if (!this.#isFollowing) void this.#follow();
    return () => void this.#listeners.delete(own);
  }

  close(): void {
    this.#listeners.clear();
    this.#closing.abort();
  }

  async #follow(): Promise<void> {
    this.#isFollowing = true;
    const { signal } = this.#closing;
    let pauseMs = PAUSE_MS_MIN;
    while (!signal.aborted) {
      const startedMs = performance.now();
      try {
        if (this.#version === '') await this.#compare();
        await this.#stream();
      } catch (error) {
        if (!signal.aborted) this.#fail(error as Error);
      }
      const isGood = performance.now() - startedMs > GOOD_MS;
      if (isGood) this.#failures = 0;
      pauseMs = isGood ? PAUSE_MS_MIN : Math.min(pauseMs * 2, PAUSE_MS_MAX);
      // All clients of a server that was started anew come back: not in the same moment.
      await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }

  async #stream(): Promise<void> {
    const { connection, path, fieldSelector, attempt, silenceMs = SILENCE_MS } = this.#parts;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const query = {
        ...selecting(fieldSelector),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: this.#version,
        timeoutSeconds: `${Math.round(WATCH_SECONDS * (1 + Math.random()))}`,
      };
      const signal = AbortSignal.any([this.#closing.signal, silence.signal]);
      const response = await connection.stream({ method: 'GET', path, query, accept: METADATA_ONLY }, signal);
      if (response.statusCode !== 200) {
        const answer = await connection.read(response);
        if (LOST.includes(answer.status)) this.#version = '';
        throw refusal(attempt, answer);
      }
      for await (const line of linesOf(response, EVENT_BYTES_MAX)) {
        timer.refresh();
        this.#take(JSON.parse(line) as WatchEvent);
      }
    } catch (error) {
      throw silence.signal.aborted ? new Error(`${connection.url} has said nothing for ${silenceMs / 1000} s`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      this.#version = '';
      throw refusal(this.#parts.attempt, { status: statusOf(object)?.code ?? 0, body: object });
    }
    this.#failures = 0;
    const { name, resourceVersion } = (object as ObjectMetadata).metadata;
    this.#version = resourceVersion;
    if (type === 'BOOKMARK') return;
    const record = recordNameOf(name);
    if (record === undefined) return;
    if (type === 'DELETED') this.#known.delete(record);
    else this.#known.set(record, resourceVersion);
    this.#note(record);
  }

  /** Tells what differs between what was told and what there is. */
  async #compare(): Promise<void> {
    const found = new Map<string, string>();
    const { version } = await this.#list((name, itsVersion) => found.set(name, itsVersion));
    for (const [name, itsVersion] of found) if (this.#known.get(name) !== itsVersion) this.#note(name);
    for (const name of this.#known.keys()) if (!found.has(name)) this.#note(name);
    this.#known = found;
    this.#version = version;
  }

  async #list(found: (name: string, version: string) => void): Promise<{ readonly version: string }> {
    const { connection, path, fieldSelector, attempt } = this.#parts;
    const request = { method: 'GET', path, query: selecting(fieldSelector), accept: METADATA_LIST } as const;
    const version = await eachPage<ObjectMetadata>(connection, request, METADATA_PAGE, attempt, ({ metadata }) => {
      const record = recordNameOf(metadata.name);
      if (record !== undefined) found(record, metadata.resourceVersion);
    });
    return { version };
  }

  /** Remembers a change; several at once are told together. */
  #note(name: string): void {
    if (this.#pending.size === 0) setImmediate(() => this.#tell());
    this.#pending.add(name);
  }

  #tell(): void {
    const names = [...this.#pending];
    this.#pending.clear();
    for (const listener of this.#listeners) listener(names);
  }

  /** A connection that breaks is made again, a version that has expired is compared: told is only what does not help at once. */
  #fail({ message, code }: NodeJS.ErrnoException): void {
    this.#failures++;
    if (this.#failures !== TOLD_AT) return;
    const { connection, attempt, onProblem } = this.#parts;
    const why = code === 'ECONNRESET' ? `${connection.url} breaks the connection` : message;
    onProblem(`cannot ${attempt.what}: ${why}; trying again, and what has changed meanwhile is noticed then`);
  }
}
