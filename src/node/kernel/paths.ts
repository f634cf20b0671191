import { lstat, mkdir, open, realpath, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { VolumeError } from '../../volumes/errors.ts';

/**
 * The path as mountinfo shows it: folders on the way may be symbolic links, the last element is taken as it is (it may be a mount
 * whose file system no longer answers). Undefined when the folder above is not there.
 */
export async function canonicalPath(path: string): Promise<string | undefined> {
  const whole = resolve(path);
  if (whole === '/') return whole;
  try {
    return join(await realpath(dirname(whole)), basename(whole));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new VolumeError('internal', `cannot follow the path ${path}: ${codeOf(error)}`);
  }
}

/** As canonicalPath, but when the last element is a symbolic link, where that leads to: a folder may be given as one. */
export async function canonicalFolder(path: string): Promise<string | undefined> {
  const canonical = await canonicalPath(path);
  if (canonical === undefined || (await kindOf(canonical)) !== 'link') return canonical;
  return realpath(canonical).catch(() => undefined);
}

/** As canonicalFolder. @throws VolumeError `failed-precondition` when there is no such folder */
export async function existingFolder(path: string): Promise<string> {
  const canonical = await canonicalFolder(path);
  if (canonical !== undefined && (await kindOf(canonical)) === 'folder') return canonical;
  throw new VolumeError('failed-precondition', `cannot use ${path}: there is no such directory; the caller has to make it first`);
}

export type PathKind = 'absent' | 'folder' | 'file' | 'device' | 'link' | 'other' | 'broken';

/** What is at a path, without following a link. `broken`: something whose file system fails (EIO, ENOTCONN, ESTALE). */
export async function kindOf(path: string): Promise<PathKind> {
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return 'folder';
    if (found.isFile()) return 'file';
    if (found.isBlockDevice()) return 'device';
    return found.isSymbolicLink() ? 'link' : 'other';
  } catch (error) {
    return isMissing(error) ? 'absent' : 'broken';
  }
}

/** Makes the last element of a path, as what a mount is put on. What is there already may stay, if it is of this kind. */
export async function makeMountPoint(path: string, kind: 'folder' | 'file'): Promise<void> {
  try {
    if (kind === 'folder') await mkdir(path, { mode: 0o750 });
    else await (await open(path, 'wx', 0o640)).close();
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await kindOf(path)) === kind) return;
    const what = codeOf(error) === 'EEXIST' ? `something else is there (${await kindOf(path)})` : codeOf(error);
    throw new VolumeError(
      'failed-precondition',
      `cannot make ${path} as a ${kind}: ${what}; the folder above it has to be there`,
    );
  }
}

/** Removes what makeMountPoint has made; never what lies in it. */
export async function removeMountPoint(path: string): Promise<void> {
  try {
    const kind = await kindOf(path);
    if (kind === 'absent') return;
    if (kind === 'folder') await rmdir(path);
    else if (kind === 'link' || (await lstat(path)).size === 0) await unlink(path);
    else throw new VolumeError('internal', `cannot remove ${path}: it is not empty`);
  } catch (error) {
    if (isMissing(error)) return;
    const what =
      codeOf(error) === 'internal' || codeOf(error) === 'ENOTEMPTY' ? 'there is data where a volume was' : codeOf(error);
    throw new VolumeError('internal', `cannot remove ${path}: ${what}; look at it, and remove it by hand`);
  }
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? 'unknown error';
}
