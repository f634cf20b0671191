import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { executeAgain } from '../../src/system/execute-again.ts';
import { becomeIoFlusher, isIoFlusher } from '../../src/system/io-flusher.ts';
import { lockArena, lockProgramText, programText } from '../../src/system/memory-lock.ts';
import { mapArena } from '../../src/system/memory.ts';
import { OrphanReaper } from '../../src/system/orphans.ts';

/** What a process does to itself can be seen only in a process of its own: each scenario is one, and prints what it saw as JSON. */
const SCENARIOS: Readonly<Record<string, () => unknown>> = {
  'execute again': () => {
    const { pid, argv, env } = process;
    const before = env['AGAIN'];
    if (before !== undefined)
      return { same: before === String(pid), words: argv.slice(2), option: process.execArgv, wish: env['WISH'] };
    env['AGAIN'] = String(pid);
    env['WISH'] = 'grün = ja';
    executeAgain();
  },
  'execute nothing': () => {
    try {
      executeAgain('/nonexistent');
    } catch (error) {
      return (error as Error).message;
    }
  },
  text: () => {
    const message = failureOf(lockProgramText);
    const text = programText(readFileSync('/proc/self/maps', 'utf8'));
    const addresses = new Set(text.map(({ address }) => address));
    const wantedKb = sum(text.map(({ sizeBytes }) => sizeBytes / 1024));
    return { message, wantedKb, kb: lockedKb((address) => addresses.has(address)) };
  },
  arena: () => {
    const arena = mapArena(64 * PAGE);
    const message = failureOf(() => lockArena(arena));
    const before = lockedKb((address) => address === arena.address);
    arena.bytes.fill(1, 0, 8 * PAGE);
    return { message, before, after: lockedKb((address) => address === arena.address) };
  },
  'io flusher': () => {
    const before = isIoFlusher();
    const message = failureOf(becomeIoFlusher);
    return { before, message, after: isIoFlusher() };
  },
  'io flusher again': () => {
    if (!isIoFlusher()) {
      becomeIoFlusher();
      executeAgain();
    }
    const flags = readdirSync('/proc/self/task').map((thread) => flagsOf(`/proc/self/task/${thread}/stat`));
    return { threads: flags.length > 5, others: flags.filter((each) => (each & IO_FLUSHER) !== IO_FLUSHER) };
  },
  orphans: async () => {
    const reaper = new OrphanReaper(20);
    for (let round = 0; round < 3; round++) {
      const child = spawn('sh', ['-c', '(sleep 0.1; exit 3) & exit 7'], { stdio: 'ignore' });
      const [code] = (await once(child, 'exit')) as [number];
      if (code !== 7) return `the status of our own child was ${code}`;
    }
    let most = 0;
    let left = zombies();
    for (let look = 0; look < 3_000 && (most === 0 || left > 0); look++) {
      await sleep(2);
      left = zombies();
      most = Math.max(most, left);
    }
    reaper.stop();
    return { most, left };
  },
};

const PAGE = 4096;
/** PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (kernel: include/linux/sched.h), in field 9 of /proc/pid/stat. */
const IO_FLUSHER = 0x180000;

function flagsOf(path: string): number {
  const stat = readFileSync(path, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[9 - 3]);
}

/** What is in memory of the locked mappings whose address is looked for (`Locked:` is but this process' share of it). */
function lockedKb(isMeant: (address: number) => boolean): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const locked = mappings.filter((mapping) => isMeant(Number.parseInt(mapping, 16)) && /^VmFlags:.* lo\b/m.test(mapping));
  return sum(locked.map((mapping) => Number(/^Rss:\s+(\d+) kB$/m.exec(mapping)?.[1])));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** Dead processes that wait for their parent, among all that this namespace has. */
function zombies(): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && /^\d+ \(.*\) Z/s.test(statOf(name))).length;
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
}

function failureOf(attempt: () => unknown): string {
  try {
    attempt();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const scenario = SCENARIOS[process.argv[2]];
process.stdout.write(`${JSON.stringify(await scenario())}\n`);
