import { readFileSync } from 'node:fs';

/** A line of proc(5), /proc/pid/mountinfo, as far as it is of interest. */
export interface MountInfo {
  /** `major:minor` of the file system's device. */
  readonly deviceNumber: string;
  readonly mountPoint: string;
  /** What was mounted, as mount(8) was told it. */
  readonly source: string;
}

/** What is mounted in a process' mount namespace, in order; empty when the process has ended or can't be looked at. */
export function listMounts(pid: string | number = 'self'): MountInfo[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

/** Whether something is mounted at `path`. Does not look at the path itself, which may not answer. */
export function isMountPoint(path: string): boolean {
  return listMounts().some(({ mountPoint }) => mountPoint === path);
}

/** Fields 3 and 5 are device number and mount point; after some that are optional, and `-`, come type and source. */
function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  return { deviceNumber: fields[2], mountPoint: unescape(fields[4]), source: unescape(fields[fields.indexOf('-') + 2]) };
}

/** Spaces, tabs, line ends and backslashes are written as three octal digits. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
