import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from './faults-laboratory.ts';
import { eventually } from './faults-process.ts';

const CGROUPS = '/sys/fs/cgroup';
const HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
const HUGE_PAGE_BYTES = 2 * MIB;

/** Runs a test on a machine with only so much memory: the rest is taken away, as pages that nobody gets. Guests only. */
export async function withScarceMemory(leftBytes: number, run: () => Promise<void>): Promise<void> {
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  const pages = Math.floor((availableBytes() - leftBytes) / HUGE_PAGE_BYTES);
  writeFileSync(HUGE_PAGES, String(pages));
  try {
    await run();
  } finally {
    writeFileSync(HUGE_PAGES, '0');
  }
}

/** What programs and the cache of files may still get. */
export function availableBytes(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

/** A control group that limits the memory of what is started in it. */
export class MemoryGroup {
  readonly #folder: string;

  constructor(name: string) {
    writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), '+memory');
    this.#folder = join(CGROUPS, name);
    mkdirSync(this.#folder);
  }

  /** In front of a command line: starts it in here. */
  get launcher(): string[] {
    return ['sh', '-c', `echo $$ >${join(this.#folder, 'cgroup.procs')} && exec "$@"`, 'sh'];
  }

  get usedBytes(): number {
    return Number(this.#read('memory.current'));
  }

  /** How many processes the kernel has ended in here because they wanted more. */
  get killed(): number {
    return Number(/^oom_kill (\d+)/m.exec(this.#read('memory.events'))?.[1]);
  }

  limit(bytes: number | 'max'): void {
    writeFileSync(join(this.#folder, 'memory.max'), String(bytes));
  }

  async close(): Promise<void> {
    await eventually('the control group to be left', 20_000, () => this.#read('cgroup.procs') === '');
    rmdirSync(this.#folder);
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }
}
