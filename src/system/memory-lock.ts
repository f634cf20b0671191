import { readFileSync } from 'node:fs';
import type { Arena } from '../buffers/arena.ts';
import { MLOCK_ONFAULT } from './constants.ts';
import { SystemError } from './errno.ts';
import { lastErrno, mlock2, orThrow } from './libc.ts';

/**
 * Memory that stays in memory. Never all of a process' memory: V8 gives pages back in a way that the kernel refuses where they are
 * locked, and then it aborts (mlockall, whatever its flags).
 */

const ADVICE = {
  ENOMEM: 'give it the capability CAP_IPC_LOCK, or raise its limit of locked memory (RLIMIT_MEMLOCK)',
  EPERM: 'give it the capability CAP_IPC_LOCK, or raise its limit of locked memory (RLIMIT_MEMLOCK)',
  EAGAIN: 'there is not enough memory to read all of it now',
};
const MIB = 1024 * 1024;

export interface MemoryRange {
  readonly address: number;
  readonly sizeBytes: number;
}

/** The code of programs and libraries among the lines of /proc/pid/maps: executable, not writable, and read from a file. */
export function programText(maps: string): MemoryRange[] {
  const lines = maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ [1-9]\d* +\/.*$/gm);
  return Array.from(lines, ([, from, to]) => {
    const address = Number.parseInt(from, 16);
    return { address, sizeBytes: Number.parseInt(to, 16) - address };
  });
}

/**
 * Reads the code of this process into memory and keeps it there, so that it need not be read from a disk to serve a disk. What does not
 * fit the process' limit is left out. Returns how much is locked; throws SystemError when that is not all.
 */
export function lockProgramText(): number {
  const ranges = programText(readFileSync('/proc/self/maps', 'utf8'));
  let errno = 0;
  let lockedBytes = 0;
  for (const { address, sizeBytes } of ranges) {
    if (mlock2(address, sizeBytes, 0) === 0) lockedBytes += sizeBytes;
    else errno = lastErrno();
  }
  if (errno === 0) return lockedBytes;
  const wantedBytes = ranges.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const attempt = `keep more than ${mib(lockedBytes)} of ${mib(wantedBytes)} MiB of this program's code in memory`;
  throw new SystemError({ attempt, syscall: 'mlock2', errno, advice: ADVICE });
}

/** Keeps an arena in memory, each page from its first use on: what is never used takes up none. Throws SystemError. */
export function lockArena({ address, bytes }: Arena): void {
  const attempt = `keep ${mib(bytes.length)} MiB of buffer memory from being swapped out`;
  orThrow(mlock2(address, bytes.length, MLOCK_ONFAULT), 'mlock2', attempt, ADVICE);
}

function mib(sizeBytes: number): string {
  return (sizeBytes / MIB).toFixed(1);
}
