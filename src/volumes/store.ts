import { setTimeout as delay } from 'node:timers/promises';
import type { Election } from './election.ts';
import { VolumeError } from './errors.ts';
import type { NodeRecord, TargetRecord } from './records.ts';

/** A record with the version it was read at. */
export interface Versioned<T> {
  readonly name: string;
  /** Opaque; changes with every write. */
  readonly version: string;
  readonly value: T;
}

/** Somebody else changed, made or deleted the record first: read it again and decide anew. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

export function isConflict(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConflictError';
}

/** Records of one kind. Every write is durable when its promise resolves. */
export interface Collection<T> {
  get(name: string): Promise<Versioned<T> | undefined>;
  /** All records, by name in ascending order. */
  list(): Promise<readonly Versioned<T>[]>;
  /** Throws ConflictError when one of this name exists. */
  create(name: string, value: T): Promise<Versioned<T>>;
  /** Throws ConflictError unless the record is still at `version`. */
  update(name: string, version: string, value: T): Promise<Versioned<T>>;
  /** Throws ConflictError unless the record is still at `version`. */
  delete(name: string, version: string): Promise<void>;
  /**
   * Calls back soon after records have changed, by whatever process, with their names; several changes may come as one call, and a
   * call may come for nothing. Returns how to stop.
   */
  watch(changed: (names: readonly string[]) => void): () => void;
}

/** The records of targets that have a task for one node: few of many, however many nodes and targets there are. */
export interface NodeTasks {
  /** Those that have one now. */
  list(): Promise<readonly Versioned<TargetRecord>[]>;
  /** As Collection.watch, of those that have one, get one, or have it no more. */
  watch(changed: (names: readonly string[]) => void): () => void;
  /** After so long a list finds what no change has told: how far `watch` can be relied on. */
  readonly rescanMs: number;
}

/** What has been looked at of a node, and how it is; for people. */
export interface NodeCondition {
  /** One word in CamelCase, as the next. */
  readonly type: string;
  readonly isGood: boolean;
  readonly reason: string;
  /** What is wrong, and what to do about it; empty for what is good. */
  readonly message: string;
}

/** Where the inventory, the claims and the nodes are: a directory, or the API server. */
export interface Store {
  readonly targets: Collection<TargetRecord>;
  readonly nodes: Collection<NodeRecord>;
  /** What a node has to do. */
  tasksAt(nodeId: string): NodeTasks;
  /**
   * One of several controllers, for what each could do but one alone should. Missing where it makes no difference.
   * @param holder names this one, never the same as another
   */
  elect?(holder: string): Election;
  /** Whether it has been said that a node is off: then nobody waits for it to fall silent. Missing where nobody can say so. */
  isOutOfService?(nodeId: string): Promise<boolean>;
  /** Whether a node is no part of the cluster any more. Missing where nobody knows which nodes it has. */
  isGone?(nodeId: string): Promise<boolean>;
  /**
   * Shows people in what condition a node is, all of it, where they look at nodes, and tells of what has changed. Missing where there
   * is no such place. @throws VolumeError
   */
  showConditions?(nodeId: string, conditions: readonly NodeCondition[]): Promise<void>;
  /** The time where the store is, in milliseconds since 1970, to a second. Missing where that is this machine. @throws VolumeError */
  nowMs?(): Promise<number>;
  close(): Promise<void>;
}

/** Attempts of `change` before it gives up on a record that others keep changing. */
const CHANGE_TRIES_MAX = 64;
/** Those who were too late wait a random time, the longer the more often that happened, so that one of them gets through. */
const CHANGE_PAUSE_MS_MAX = 50;

/**
 * Reads a record, lets `decide` make its successor, and writes it if nobody was faster; else again. `decide` answers undefined to
 * leave the record as it is. It may run several times, so it must change nothing; what it looks at besides is as it was after the
 * record was read, and, if that is written, before anybody else changed it. Answers the record as it is then, or undefined
 * when there is none.
 * @throws VolumeError `aborted` when others change the record all the time; whatever `decide` throws
 */
export async function change<T>(
  collection: Collection<T>,
  name: string,
  decide: (value: T) => T | undefined | Promise<T | undefined>,
): Promise<Versioned<T> | undefined> {
  for (let tries = 1; tries <= CHANGE_TRIES_MAX; tries++) {
    const found = await collection.get(name);
    if (found === undefined) return undefined;
    const next = await decide(found.value);
    if (next === undefined) return found;
    try {
      return await collection.update(name, found.version, next);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    await delay(Math.random() * Math.min(tries, CHANGE_PAUSE_MS_MAX));
  }
  throw new VolumeError(
    'aborted',
    `cannot change the record ${name}: others changed it first ${CHANGE_TRIES_MAX} times in a row; call again`,
  );
}
