import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockExclusively } from '../../system/file-io.ts';
import { waitUntil } from '../../system/waiting.ts';

const FOLDER_MODE = 0o700;
/** One that was killed needs a moment to be dead. */
const DEAD_MS = 3_000;
const LOOK_MS = 200;

/**
 * Makes sure that this process alone works on a state directory, from now on until its end: the kernel takes the lock back then. Within
 * that, two plugins would stage and take down the same volumes.
 * @throws Error when another one has it, or when the directory can't be used
 */
export async function lockState(path: string): Promise<void> {
  if (await waitUntil(() => tryLock(path), DEAD_MS)) return;
  throw new Error(
    `the state directory ${path} belongs to another node plugin that runs; stop that one, or name another with --state-directory; ` +
      'to wait until it ends, start this one with --stand-by',
  );
}

/**
 * The same, for as long as it takes. @param waits told once, when another one has it
 * @returns false when `signal` was aborted before
 */
export async function awaitState(path: string, signal: AbortSignal, waits: () => void): Promise<boolean> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    if (tryLock(path)) return true;
    if (isFirst) waits();
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

/** The folder itself is locked: that takes no room on a full disk, and leaves one that is read-only as it is. */
function tryLock(path: string): boolean {
  let fd: number;
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw new Error(
      `cannot use the state directory ${path}: ${(error as Error).message}; make it a folder that root can write to`,
    );
  }
  // Open until the end of the process, and so is the lock.
  if (lockExclusively(fd) === 0) return true;
  closeSync(fd);
  return false;
}
