import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { PAUSE_IMAGE } from './cluster-containerd.ts';
import { cacheFolder } from './csi-go.ts';

const BUSYBOX = '/bin/busybox';
/** What tests' pods are made of: a static busybox with its usual names. */
export const BUSYBOX_IMAGE = 'localhost/busybox:1';
const APPLETS = [
  'sh',
  'cat',
  'dd',
  'sleep',
  'sync',
  'md5sum',
  'df',
  'ls',
  'mkdir',
  'date',
  'stat',
  'touch',
  'rm',
  'echo',
  'mount',
  'blockdev',
];

/** Files of an image that is nothing but these, by their paths in it. */
export interface SmallImage {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Names for a file: link → target. */
  readonly links?: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}

/**
 * An image of a few files, as a docker-archive: what `FROM scratch` and `COPY` make, without a builder.
 * @returns the path of the archive, which is kept as long as the files are the same
 */
export function smallImage(image: SmallImage): string {
  const folder = join(cacheFolder(), 'images');
  mkdirSync(folder, { recursive: true });
  const key = createHash('sha256').update(JSON.stringify(image));
  for (const path of Object.values(image.files)) key.update(readFileSync(path));
  const archive = join(folder, `${image.name.replace(/\W+/g, '-')}-${key.digest('hex').slice(0, 12)}.tar`);
  if (existsSync(archive)) return archive;
  const scratch = mkdtempSync(join(folder, 'building-'));
  try {
    pack(image, scratch);
    renameSync(join(scratch, 'image.tar'), archive);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return archive;
}

function pack(image: SmallImage, scratch: string): void {
  const root = join(scratch, 'root');
  for (const [to, from] of Object.entries(image.files)) {
    const path = join(root, to);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(from, path);
    chmodSync(path, 0o755);
  }
  for (const [link, target] of Object.entries(image.links ?? {})) {
    mkdirSync(dirname(join(root, link)), { recursive: true });
    symlinkSync(target, join(root, link));
  }
  for (const each of ['tmp', 'data']) mkdirSync(join(root, each), { recursive: true });
  tar(join(scratch, 'layer.tar'), root, '.');
  const layer = createHash('sha256')
    .update(readFileSync(join(scratch, 'layer.tar')))
    .digest('hex');
  const configuration = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: image.entrypoint, Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  };
  writeFileSync(join(scratch, 'config.json'), JSON.stringify(configuration));
  const manifest = [{ Config: 'config.json', RepoTags: [image.name], Layers: ['layer.tar'] }];
  writeFileSync(join(scratch, 'manifest.json'), JSON.stringify(manifest));
  tar(join(scratch, 'image.tar'), scratch, 'manifest.json', 'config.json', 'layer.tar');
}

function tar(archive: string, folder: string, ...names: readonly string[]): void {
  execFileSync('tar', ['--create', `--file=${archive}`, `--directory=${folder}`, '--owner=0', '--group=0', ...names]);
}

/** What every pod begins with. */
export function pauseImage(): string {
  return smallImage({
    name: PAUSE_IMAGE,
    files: { 'bin/busybox': BUSYBOX },
    // It gets signals as the first process only if it handles them.
    entrypoint: ['/bin/busybox', 'sh', '-c', 'trap "exit 0" TERM INT; while :; do /bin/busybox sleep 3600 & wait $!; done'],
  });
}

/** What tests' pods run. */
export function busyboxImage(): string {
  const links = Object.fromEntries(APPLETS.map((name) => [`bin/${name}`, 'busybox']));
  return smallImage({ name: BUSYBOX_IMAGE, files: { 'bin/busybox': BUSYBOX }, links, entrypoint: ['/bin/sh'] });
}
