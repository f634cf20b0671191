import { open, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Ends the name of a file that is being written. After a crash such a file means nothing. */
export const UNFINISHED = '.new';
/** Records are for the driver; nobody else changes them. */
const FILE_MODE = 0o600;

/** How far a write came before it failed. */
export interface DurableFileError extends Error {
  /** The file has its new content already, but a power failure may take it back. */
  readonly isVisible: boolean;
}

/**
 * Puts a text into a file so that after a crash at any instant the file holds either all of the old text or all of the new; it
 * holds the new one for good when the promise resolves. Needs the caller's lock: two writers of one file would share the unfinished
 * one.
 * @throws the system's error, when the old content is untouched and nothing is left over, or DurableFileError with `isVisible`
 */
export async function writeDurably(path: string, text: string): Promise<void> {
  const unfinished = path + UNFINISHED;
  try {
    await writeAndSync(unfinished, text);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncAfterChange(path);
}

/** Removes a file for good. @throws as writeDurably */
export async function removeDurably(path: string): Promise<void> {
  await unlink(path);
  await syncAfterChange(path);
}

/** What happened in a folder, such as a rename, is durable when the folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeAndSync(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncAfterChange(path: string): Promise<void> {
  try {
    await syncFolder(dirname(path));
  } catch (error) {
    throw Object.assign(error as Error, { isVisible: true });
  }
}
