import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { X64, type Platform } from './platform.ts';

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

/** The newest kernel of a series that is in the cache; else the newest of Debian's, fetched into it. */
export function provideKernel(series: Series, cache: string, say: (text: string) => void): Kernel {
  const cached = newest(readdirSync(cache).filter((name) => releaseOf(name, series) !== undefined));
  if (cached !== undefined) return kernelIn(join(cache, cached));
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
  const listed = run('apt-cache', ['search', '--names-only', `^linux-image-${series.replace('.', '\\.')}\\.`]);
  const names = listed.split('\n').map((line) => line.split(' ')[0]);
  return names.filter((name) => releaseOf(name, series) !== undefined);
}

function updateLists(): void {
  run('apt-get', ['update', '--quiet']);
}

/** Unpacks beside the final place and renames, so that two runs at once do not see each other's half of it. */
function fetchKernel(name: string, cache: string): Kernel {
  const scratch = mkdtempSync(join(cache, 'fetching-'));
  try {
    run('apt-get', ['download', '--quiet', name], scratch);
    const archive = readdirSync(scratch).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`\`apt-get download ${name}\` has left no package`);
    const unpacked = join(scratch, 'unpacked');
    run('dpkg-deb', ['--extract', join(scratch, archive), unpacked]);
    run('depmod', ['--basedir', unpacked, kernelIn(unpacked).release]);
    const folder = join(cache, name);
    try {
      renameSync(unpacked, folder);
    } catch (error) {
      // Another run was faster: its copy will do.
      if (!existsSync(folder)) throw error;
    }
    return kernelIn(folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function kernelIn(folder: string): Kernel {
  const [release] = readdirSync(join(folder, 'lib/modules'));
  const image = join(folder, 'boot', `vmlinuz-${release}`);
  if (!existsSync(image)) throw new Error(`${folder} holds no whole kernel: delete it, it will be fetched again`);
  return { platform: X64, folder, release, image, modules: join(folder, 'lib/modules', release) };
}

function run(file: string, args: readonly string[], cwd?: string): string {
  return execFileSync(file, args, { encoding: 'utf8', cwd, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
}
