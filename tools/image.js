/**
 * `npm run image`: builds the Dockerfile around dist/app with buildah, without a registry and, from the second time on, without a
 * network. Prints what it made as JSON: `reference`, the image's name, and `archive`, a file that `docker load`, `podman load` and
 * `ctr images import` take.
 *
 *   --base IMAGE    what it is built on; without it, Debian 12 from its archive with the Node that runs this
 *   --fuse          with what the attach backend `fuse` needs, for nodes without an nbd module
 *   --arch ARCH     x64 or arm64; for another one than this machine's, its programs must run here: Debian's qemu-user-static, arch-test
 *
 * Archives are kept under ~/.cache/aoe-csi/images, by what they were made of, until nobody has asked for them for days. Needs root,
 * buildah and mmdebstrap.
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
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { announce, repositoryRoot } from './run/common.js';

const APP = join(repositoryRoot, 'dist/app');
const DOCKERFILE = join(repositoryRoot, 'Dockerfile');
/** What the Dockerfile takes from its context, when the program is built already. */
const COLLECT = 'deploy/image/collect.sh';
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'aoe-csi/images');
const SUITE = 'bookworm';
/** What the Dockerfile is built on, when nobody names something else. */
const BASE = 'localhost/aoe-csi-base:build';
/** Nobody reads manuals in a container. */
const EXCLUDED = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];
/** Changed when what is done here changes the images. */
const RECIPE = 2;
/** An archive is a fifth of a gigabyte, and each change of the sources makes another one. */
const KEPT_MS = 3 * 24 * 60 * 60 * 1000;

/** As root of a container without privileges; the time of all files is that of the source. */
const BUD = ['--isolation', 'chroot', '--layers=false', '--quiet', '--timestamp', epoch()];

/** As Debian and the images' own format call what Node calls so. */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };
/** What the kernel runs programs of another processor with: https://docs.kernel.org/admin-guide/binfmt-misc.html */
const EMULATORS = { x64: 'qemu-x86_64', arm64: 'qemu-aarch64' };

const { values } = parseArgs({
  options: {
    base: { type: 'string' },
    fuse: { type: 'boolean', default: false },
    arch: { type: 'string', default: process.arch },
  },
});
const { arch } = values;
const architecture = ARCHITECTURES[arch];
if (architecture === undefined) throw new Error(`--arch: there are ${Object.keys(ARCHITECTURES).join(' and ')}`);
const isForeign = arch !== process.arch;
if (isForeign) requireEmulator();
const { version } = JSON.parse(readFileSync(join(APP, 'package.json'), 'utf8'));
const packages = defaultPackages();
const MORE_PROGRAMS = values.fuse ? 'nbdfuse' : '';
const reference = `localhost/aoe-csi:${version}`;
mkdirSync(CACHE, { recursive: true });
const archive = join(
  CACHE,
  `aoe-csi-${keyOf(values.base ?? baseKey(), arch, MORE_PROGRAMS, ...recipes(), ...contentsOf(APP))}.tar`,
);
if (!existsSync(archive)) announce(`building ${reference}`, build);
utimesSync(archive, new Date(), new Date());
removeUnused();
console.log(JSON.stringify({ reference, archive }));

/** The default of PACKAGES. */
function defaultPackages() {
  const found = /^ARG PACKAGES="(.*)"$/m.exec(readFileSync(DOCKERFILE, 'utf8'));
  if (found === null) throw new Error('the Dockerfile has no line `ARG PACKAGES="…"`');
  return found[1].split(' ');
}

function recipes() {
  return [DOCKERFILE, join(repositoryRoot, COLLECT)].map((path) => readFileSync(path));
}

function removeUnused() {
  for (const name of readdirSync(CACHE).filter((each) => /^(aoe-csi|base)-[0-9a-f]+\.tar$/.test(each))) {
    const path = join(CACHE, name);
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > KEPT_MS) rmSync(path, { force: true });
  }
}

function build() {
  const scratch = mkdtempSync(join(CACHE, 'building-'));
  try {
    const base = values.base ?? provideBase(scratch);
    mkdirSync(join(scratch, 'app'));
    cpSync(APP, join(scratch, 'app/app'), { recursive: true });
    cpSync(join(repositoryRoot, COLLECT), join(scratch, 'app', COLLECT));
    if (isForeign) replaceNative(scratch);
    const given = { BASE: base, MORE_PROGRAMS, VERSION: version, REVISION: revision() };
    const words = Object.entries(given).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
    const context = join(scratch, 'app');
    words.push('--build-context', `bundle=${context}`, '--file', DOCKERFILE, '--tag', reference);
    buildah(scratch, 'bud', ...BUD, '--arch', architecture, ...words, context);
    const made = join(scratch, 'image.tar');
    buildah(scratch, 'push', '--quiet', reference, `docker-archive:${made}:${reference}`);
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
    const options = [`--architectures=${architecture}`, ...EXCLUDED.map((path) => `--dpkgopt=path-exclude=${path}`)];
    run('mmdebstrap', '--quiet', '--variant=minbase', ...options, `--include=${packages.join(',')}`, SUITE, made);
    renameSync(made, tar);
  }
  utimesSync(tar, new Date(), new Date());
  const folder = join(scratch, 'base');
  mkdirSync(folder);
  cpSync(tar, join(folder, 'base.tar'));
  cpSync(
    isForeign ? join(fetched(scratch, `node-linux-${arch}@${process.versions.node}`), 'bin/node') : process.execPath,
    join(folder, 'node'),
  );
  // It does not take it from a pipe that is a socket, as those of Node are.
  const file = join(scratch, 'base.Dockerfile');
  writeFileSync(file, 'FROM scratch\nADD base.tar /\nCOPY node /usr/local/bin/node\n');
  buildah(scratch, 'bud', ...BUD, '--arch', architecture, '--tag', BASE, '--file', file, folder);
  return BASE;
}

/** koffi's native part: npm has installed that of this machine. */
function replaceNative(scratch) {
  const modules = join(scratch, 'app/app/node_modules');
  const native = nativeOf(arch);
  const { packages: locked } = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8'));
  rmSync(join(modules, nativeOf(process.arch)), { recursive: true });
  cpSync(fetched(scratch, `${native}@${locked[`node_modules/${native}`].version}`), join(modules, native), { recursive: true });
}

function nativeOf(processor) {
  return `@koromix/koffi-linux-${processor}`;
}

/** Fetches a package of npm. @returns its folder */
function fetched(scratch, name) {
  const folder = mkdtempSync(join(scratch, 'fetched-'));
  run('npm', 'pack', '--silent', '--pack-destination', folder, name);
  const [file] = readdirSync(folder);
  run('tar', '-xzf', join(folder, file), '-C', folder);
  return join(folder, 'package');
}

function requireEmulator() {
  if (existsSync(join('/proc/sys/fs/binfmt_misc', EMULATORS[arch]))) return;
  throw new Error(
    `programs for ${arch} don't run here, and an image for it is made with them: apt-get install qemu-user-static arch-test, and where no service ` +
      'has done so, mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc and register its interpreter',
  );
}

function baseKey() {
  return keyOf(SUITE, process.version, arch, packages.join(' '), EXCLUDED.join(' '));
}

/** Each build has a storage of its own: several at once, of other sources, have images of the same names; and nothing is left. */
function buildah(scratch, ...words) {
  run('buildah', '--root', join(scratch, 'storage'), '--runroot', join(scratch, 'run'), '--storage-driver', 'vfs', ...words);
}

/** With one time for all that is made: mmdebstrap's files are the same again, too. */
function run(program, ...words) {
  execFileSync(program, words, { stdio: ['ignore', 2, 2], env: { ...process.env, SOURCE_DATE_EPOCH: epoch() } });
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
