import { readFileSync } from 'node:fs';
import { parseMountInfo, type Mount } from './mountinfo.ts';

/** What is mounted in a process' mount namespace, in order; empty when the process has ended or can't be looked at. */
export function listMounts(pid: string | number = 'self'): Mount[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  } catch {
    return [];
  }
  return parseMountInfo(text);
}

/** Whether something is mounted at `path`. Does not look at the path itself, which may not answer. */
export function isMountPoint(path: string): boolean {
  return listMounts().some(({ mountPoint }) => mountPoint === path);
}
