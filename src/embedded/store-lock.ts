import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { lockExclusively } from '../system/file-io.ts';
import { VolumeError } from '../volumes/errors.ts';
import { systemNameOf } from './disk-failure.ts';

/** A writer needs some milliseconds. Who waits longer than this waits for something that is stuck. */
const WAIT_MS_MAX = 15_000;
/** The kernel tells nobody that a lock is free: it is tried again after so long. */
const RETRY_MS = 1;
/** After writing for so long without a break, a process pauses, so that those who try again get their turn. */
const ROW_MS = 25;
const BREAK_MS = 4;

const FILE_MODE = 0o600;

/**
 * One writer at a time, among all processes and within each. The kernel holds the lock for the open file and takes it back when
 * the process dies, however it dies. Within a process the turn goes round in the order of asking.
 */
export class StoreLock {
  readonly #path: string;
  readonly #waitMs: number;
  #tail: Promise<void> = Promise.resolve();
  #rowStartedMs = -Infinity;
  #releasedMs = -Infinity;

  /** @param waitMs longest wait for another process */
  constructor(path: string, waitMs = WAIT_MS_MAX) {
    this.#path = path;
    this.#waitMs = waitMs;
  }

  /**
   * Runs `work` alone.
   * @throws VolumeError `unavailable` when another process holds the lock for too long or the lock's file can't be opened;
   * whatever `work` throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tail = promise;
    try {
      await before;
      await this.#giveWay();
      const file = await this.#acquire();
      try {
        return await work();
      } finally {
        await file.close();
        this.#releasedMs = performance.now();
      }
    } finally {
      resolve();
    }
  }

  /** Resolves when all that has been asked for has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  /** The lock of somebody who takes it again at once is never free when others look. */
  async #giveWay(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#releasedMs > BREAK_MS) this.#rowStartedMs = nowMs;
    if (nowMs - this.#rowStartedMs < ROW_MS) return;
    await delay(BREAK_MS);
    this.#rowStartedMs = performance.now();
  }

  async #acquire(): Promise<FileHandle> {
    const file = await this.#open();
    const endMs = performance.now() + this.#waitMs;
    while (lockExclusively(file.fd) < 0) {
      if (performance.now() > endMs) {
        await file.close();
        throw new VolumeError(
          'unavailable',
          `cannot write to the store: another process has held ${this.#path} for ${this.#waitMs / 1000} s; ` +
            `find it with \`fuser ${this.#path}\` and end it if it is stuck`,
        );
      }
      await delay(RETRY_MS);
    }
    return file;
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#path, 'a', FILE_MODE);
    } catch (error) {
      throw new VolumeError(
        'unavailable',
        `cannot lock the store by ${this.#path}: ${systemNameOf(error)}; check the folder and who may write there`,
      );
    }
  }
}
