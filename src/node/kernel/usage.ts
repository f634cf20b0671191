import { VolumeError } from '../../volumes/errors.ts';
import { runWell } from './run.ts';

/** What statfs(2) says of a file system. */
export interface FileSystemUsage {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  readonly totalInodes: number;
  readonly availableInodes: number;
}

const USAGE_MS = 3_000;
/** Fundamental block size; blocks: all, free, available to all; inodes: all, free (stat(1)). */
const FORMAT = '%S %b %f %a %c %d';

/** Questions that have not been answered: a disk that is dead is not asked again and again. */
const asked = new Map<string, Promise<FileSystemUsage>>();

/**
 * Asks a file system how full it is, in a process of its own: a file system whose disk is dead may never answer.
 * @throws VolumeError `unavailable` when it has not answered within three seconds
 */
export async function fileSystemUsage(path: string): Promise<FileSystemUsage> {
  const pending = asked.get(path);
  if (pending !== undefined) return pending;
  const question = ask(path).finally(() => asked.delete(path));
  asked.set(path, question);
  return question;
}

async function ask(path: string): Promise<FileSystemUsage> {
  try {
    const { stdout } = await runWell('stat', ['--file-system', '-c', FORMAT, path], { timeoutMs: USAGE_MS });
    const [blockBytes, blocks, free, available, inodes, inodesFree] = stdout.toString('ascii').trim().split(' ').map(Number);
    return {
      totalBytes: blocks * blockBytes,
      availableBytes: available * blockBytes,
      usedBytes: (blocks - free) * blockBytes,
      totalInodes: inodes,
      availableInodes: inodesFree,
    };
  } catch (error) {
    throw new VolumeError('unavailable', `cannot tell how full ${path} is: ${(error as Error).message}`);
  }
}
