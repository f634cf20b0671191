import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
const PROC_STAT_IDLE = 3;
const PROC_STAT_IOWAIT = 4;
const PROC_STAT_STEAL = 7;

/**
 * How much of the processors others have used: all the machine's time minus that of the bench and its processes. A sample
 * that was taken while someone compiled beside it says nothing; this makes that visible.
 */
export class Disturbance {
  readonly #pids: () => Iterable<number>;
  #foreignSeconds = 0;
  #atSeconds = 0;

  /** `pids` names the bench's own living processes; those that ended are counted through this process, their parent. */
  constructor(pids: () => Iterable<number>) {
    this.#pids = pids;
    this.begin();
  }

  begin(): void {
    this.#foreignSeconds = this.#foreign();
    this.#atSeconds = performance.now() / 1000;
  }

  /** Processors that others have kept busy since `begin`, on average: 0.1 is a tenth of one. */
  processors(): number {
    const elapsed = performance.now() / 1000 - this.#atSeconds;
    return Math.max(0, (this.#foreign() - this.#foreignSeconds) / elapsed);
  }

  #foreign(): number {
    let ours = familyCpuSeconds(process.pid);
    for (const pid of this.#pids()) ours += familyCpuSeconds(pid);
    return machineBusySeconds() - ours;
  }
}

/** Time of all processors that was neither idle nor waiting for a disk nor taken by the host (proc(5), /proc/stat). */
function machineBusySeconds(): number {
  const [line] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  // user and nice hold guest time already; fields after steal repeat it.
  const ticks = line.split(/ +/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, value) => sum + value, 0);
  return (all - ticks[PROC_STAT_IDLE] - ticks[PROC_STAT_IOWAIT] - ticks[PROC_STAT_STEAL]) / TICKS_PER_SECOND;
}

/** Time of a process and of its children that have ended; 0 when it has ended itself. */
function familyCpuSeconds(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return 0;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(14 - 3, 18 - 3).map(Number); // utime, stime, cutime, cstime
  return ticks.reduce((sum, value) => sum + value, 0) / TICKS_PER_SECOND;
}
