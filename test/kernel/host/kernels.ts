import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFolder } from './cache.ts';
import { runProgram, unpackPackages } from './debian-archive.ts';
import { x64, type Platform } from './platform.ts';
import { provideQemu } from './qemu.ts';

/** Series that the tests know. */
export const SERIES = ['6.1', '6.12'] as const;
export type Series = (typeof SERIES)[number];

/** One of Debian's kernels, unpacked. */
export interface Kernel {
  readonly platform: Platform;
  readonly folder: string;
  /** As `uname -r` has it. */
  readonly release: string;
  readonly image: string;
  /** As the guest sees it. */
  readonly modules: string;
}

/** The newest kernel of a series that is in the cache, else the newest of Debian's, fetched into it; and what it runs on. */
export function provideKernel(series: Series, cache: string, say: (text: string) => void): Kernel {
  const platform = x64(provideQemu(cache, say));
  const cached = newest(readdirSync(cache).filter((name) => releaseOf(name, series) !== undefined));
  return kernelIn(cached === undefined ? fetchNewest(series, cache, say) : join(cache, cached), platform);
}

function fetchNewest(series: Series, cache: string, say: (text: string) => void): string {
  const name = newestPackage(series);
  say(`fetching Debian's ${name} into ${cache}`);
  try {
    return fetchKernel(name, cache);
  } catch (error) {
    // Archives drop a kernel when the next one is there, and lists may be old.
    updateLists();
    const other = newestPackage(series);
    if (other === name) throw error;
    say(`it is not there any more: fetching ${other}`);
    return fetchKernel(other, cache);
  }
}

/** The release in the name of the package of a generic kernel of the series: not those for clouds, not real-time ones. */
function releaseOf(packageName: string, series: Series): string | undefined {
  const pattern = new RegExp(`^linux-image-(${series.replace('.', '\\.')}\\.[0-9.]+(?:-[0-9]+)?(?:\\+[a-z0-9]+)?-amd64)$`);
  return pattern.exec(packageName)?.[1];
}

function newest(names: readonly string[]): string | undefined {
  return names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

function newestPackage(series: Series): string {
  const found = newest(knownPackages(series)) ?? (updateLists(), newest(knownPackages(series)));
  if (found === undefined) {
    throw new Error(
      `Debian's package lists here have no linux-image of ${series}: look with \`apt-cache search linux-image-${series}\`; ` +
        `6.1 is Debian 12's own kernel, 6.12 is in its security updates and backports`,
    );
  }
  return found;
}

function knownPackages(series: Series): string[] {
  const listed = runProgram('apt-cache', ['search', '--names-only', `^linux-image-${series.replace('.', '\\.')}\\.`]);
  const names = listed.split('\n').map((line) => line.split(' ')[0]);
  return names.filter((name) => releaseOf(name, series) !== undefined);
}

function updateLists(): void {
  runProgram('apt-get', ['update', '--quiet']);
}

function fetchKernel(name: string, cache: string): string {
  return cachedFolder(cache, name, (folder, scratch) => {
    unpackPackages([name], folder, scratch);
    runProgram('depmod', ['--basedir', folder, releaseIn(folder)]);
  });
}

function kernelIn(folder: string, platform: Platform): Kernel {
  const release = releaseIn(folder);
  const image = join(folder, 'boot', `vmlinuz-${release}`);
  if (!existsSync(image)) throw new Error(`${folder} holds no whole kernel: delete it, it will be fetched again`);
  return { platform, folder, release, image, modules: join(folder, 'lib/modules', release) };
}

function releaseIn(folder: string): string {
  return readdirSync(join(folder, 'lib/modules'))[0];
}
