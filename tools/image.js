/**
 * `npm run image`: builds the Dockerfile around dist/app with buildah, without a registry and, from the second time on, without a
 * network. Prints what it made as JSON: `reference`, the image's name, and `archive`, a file that `docker load`, `podman load` and
 * `ctr images import` take.
 *
 *   --base IMAGE    what it is built on; without it, Debian 12 from its archive with the Node that runs this
 *   --fuse          with what the attach backend `fuse` needs, for nodes without an nbd module
 *
 * All is kept under ~/.cache/aoe-csi/images, by what it was made of. Needs root, buildah and mmdebstrap.
 */

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { announce, repositoryRoot } from './run/common.js';

const APP = join(repositoryRoot, 'dist/app');
const DOCKERFILE = join(repositoryRoot, 'Dockerfile');
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'aoe-csi/images');
const SUITE = 'bookworm';
/** Nobody reads manuals in a container. */
const EXCLUDED = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];
/** Changed when what is done here changes the images. */
const RECIPE = 1;

/** Its own storage: other images of this machine are not touched, and no daemon is needed. */
const STORAGE = ['--root', join(CACHE, 'storage'), '--runroot', join(CACHE, 'run'), '--storage-driver', 'vfs'];
/** As root of a container without privileges; the time of all files is that of the source. */
const BUD = ['--isolation', 'chroot', '--layers=false', '--quiet', '--timestamp', epoch()];

const { values } = parseArgs({ options: { base: { type: 'string' }, fuse: { type: 'boolean', default: false } } });
const { version } = JSON.parse(readFileSync(join(APP, 'package.json'), 'utf8'));
const packages = [...defaultPackages(), ...(values.fuse ? ['libnbd-bin'] : [])];
const reference = `localhost/aoe-csi:${version}`;
mkdirSync(CACHE, { recursive: true });
const archive = join(
  CACHE,
  `aoe-csi-${keyOf(values.base ?? baseKey(), packages.join(' '), readFileSync(DOCKERFILE), ...contentsOf(APP))}.tar`,
);
if (!existsSync(archive)) announce(`building ${reference}`, build);
console.log(JSON.stringify({ reference, archive }));

/** The default of PACKAGES. */
function defaultPackages() {
  const found = /^ARG PACKAGES="(.*)"$/m.exec(readFileSync(DOCKERFILE, 'utf8'));
  if (found === null) throw new Error('the Dockerfile has no line `ARG PACKAGES="…"`');
  return found[1].split(' ');
}

function build() {
  const scratch = mkdtempSync(join(CACHE, 'building-'));
  try {
    const base = values.base ?? provideBase(scratch);
    mkdirSync(join(scratch, 'app'));
    cpSync(APP, join(scratch, 'app/app'), { recursive: true });
    const app = bud(join(scratch, 'app'), 'aoe-csi-app', 'FROM scratch\nCOPY app /app\n');
    const given = { BASE: base, APP: app, PACKAGES: packages.join(' '), VERSION: version, REVISION: revision() };
    const words = Object.entries(given).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
    buildah('bud', ...BUD, ...words, '--file', DOCKERFILE, '--tag', reference, scratch);
    const made = join(scratch, 'image.tar');
    buildah('push', '--quiet', reference, `docker-archive:${made}:${reference}`);
    renameSync(made, archive);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Debian's packages and this very Node, as an image; the packages are fetched once. */
function provideBase(scratch) {
  const tar = join(CACHE, `base-${baseKey()}.tar`);
  if (!existsSync(tar)) {
    const made = join(scratch, 'base.tar');
    const options = EXCLUDED.map((path) => `--dpkgopt=path-exclude=${path}`);
    run('mmdebstrap', '--quiet', '--variant=minbase', ...options, `--include=${packages.join(',')}`, SUITE, made);
    renameSync(made, tar);
  }
  const folder = join(scratch, 'base');
  mkdirSync(folder);
  cpSync(tar, join(folder, 'base.tar'));
  cpSync(process.execPath, join(folder, 'node'));
  return bud(folder, 'aoe-csi-base', 'FROM scratch\nADD base.tar /\nCOPY node /usr/local/bin/node\n');
}

function baseKey() {
  return keyOf(SUITE, process.version, process.arch, packages.join(' '), EXCLUDED.join(' '));
}

/** Builds what three lines say; returns the image's name. */
function bud(folder, name, dockerfile) {
  const image = `localhost/${name}:build`;
  // It does not take it from a pipe that is a socket, as those of Node are.
  const file = `${folder}.Dockerfile`;
  writeFileSync(file, dockerfile);
  buildah('bud', ...BUD, '--tag', image, '--file', file, folder);
  return image;
}

function buildah(...words) {
  run('buildah', ...STORAGE, ...words);
}

function run(program, ...words) {
  execFileSync(program, words, { stdio: ['ignore', 2, 2] });
}

/** Of the source that an image is made of: the last commit's, unless the environment says. */
function revision() {
  return git('rev-parse', 'HEAD') ?? 'unknown';
}

function epoch() {
  return process.env.SOURCE_DATE_EPOCH ?? git('log', '-1', '--format=%ct') ?? '0';
}

function git(...words) {
  try {
    return execFileSync('git', ['-c', 'safe.directory=*', ...words], { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}

function contentsOf(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return paths.flatMap((path) => [path.slice(folder.length), readFileSync(path)]);
}

function keyOf(...parts) {
  const hash = createHash('sha256').update(String(RECIPE));
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 12);
}
