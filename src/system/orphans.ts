import { readFileSync } from 'node:fs';
import { WNOHANG } from './constants.ts';
import { waitpid } from './libc.ts';

const LOOK_MS = 5_000;

/**
 * What the first process of a container owes the others: a process whose parent has ended becomes its child, and what is left of it
 * after its own end goes only when its parent has asked for its exit status.
 *
 * Node asks for those of its own children as soon as they have ended, between two looks at the latest. So what is dead at two looks is
 * nobody's.
 */
export class OrphanReaper {
  readonly #timer: NodeJS.Timeout;
  #dead: readonly number[] = [];

  constructor(lookMs = LOOK_MS) {
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const dead = children().filter(isDead);
    for (const pid of dead) if (this.#dead.includes(pid)) waitpid(pid, null, WNOHANG);
    this.#dead = dead;
  }
}

/** Begins with it where this process is the first one of its container, or of its machine. */
export function reapOrphansAsFirstProcess(): void {
  if (process.pid === 1) new OrphanReaper();
}

function children(): number[] {
  const list = readText(`/proc/self/task/${process.pid}/children`);
  return list
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
}

function isDead(pid: number): boolean {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

/** Empty where there is none: the process has gone meanwhile, or the kernel was built without it. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
