import { readFileSync } from 'node:fs';

/** A process, told from a later one that was given the same number by when it started. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot (proc(5), /proc/pid/stat field 22). */
  readonly startTicks: number;
}

const STATE_FIELD = 3;
const START_FIELD = 22;

/** The process of this number now; undefined when there is none, or only its exit status is left. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The program's name is in parentheses and may hold anything; the fields after the last one begin with the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTicks: Number(fields[START_FIELD - STATE_FIELD]) };
}

/** Whether this very process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTicks === identity.startTicks;
}
