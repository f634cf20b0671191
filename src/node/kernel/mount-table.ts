import { readFile } from 'node:fs/promises';
import { parseMountInfo, type Mount } from '../../system/mountinfo.ts';

/** All mounts of this process' mount namespace now. Asks no file system, so no dead disk can hold it up. */
export async function mountTable(): Promise<Mount[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
}
