import { join } from 'node:path';
import { cachedFolder } from './cache.ts';
import { backports, runProgram, unpackPackages } from './debian-archive.ts';

const INSTALLED = 'qemu-system-x86_64';
/** Since then x86-64 is emulated much faster: processes start three to five times faster, Node by a third. Debian 12 has 7.2. */
const FAST_MAJOR = 10;
const PACKAGES = ['qemu-system-x86', 'qemu-system-common', 'qemu-system-data', 'seabios'];
const FOLDER = 'qemu-backports';

/**
 * First words of a command line for QEMU's emulation of x86-64: the program that is installed where that is fast, else the one of
 * Debian's backports, unpacked into the cache. Its libraries are those that the installed one needs.
 */
export function provideQemu(cache: string, say: (text: string) => void): readonly string[] {
  if (majorOf([INSTALLED]) >= FAST_MAJOR) return [INSTALLED];
  try {
    const folder = cachedFolder(cache, FOLDER, (unpacked, scratch) => {
      say(`fetching QEMU of Debian's backports into ${cache}`);
      unpackPackages(PACKAGES, unpacked, scratch, backports(scratch));
      requireFast(wordsIn(unpacked));
    });
    // This machine's libraries may have changed since.
    return requireFast(wordsIn(folder));
  } catch (error) {
    say(`guests run on the QEMU of this machine, which is slow: no newer one from backports: ${(error as Error).message}`);
    return [INSTALLED];
  }
}

/** The program, and where it finds firmware of its own version. */
function wordsIn(folder: string): readonly string[] {
  return [join(folder, 'usr/bin', INSTALLED), ...['qemu', 'seabios'].flatMap((name) => ['-L', join(folder, 'usr/share', name)])];
}

function requireFast(words: readonly string[]): readonly string[] {
  const major = majorOf(words);
  if (major >= FAST_MAJOR) return words;
  throw new Error(`what backports have is version ${String(major)}`);
}

function majorOf([program, ...words]: readonly string[]): number {
  return Number(/version (\d+)\./.exec(runProgram(program, [...words, '--version']))?.[1]);
}
