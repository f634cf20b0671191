/**
 * `npm run bundle`: makes dist/app of what tsc has emitted. It runs as it stands wherever there is Node, and starts sooner: after a
 * crash of an initiator I/O waits for its start, and most of that is finding and reading hundreds of files.
 *
 * What is imported only when it is needed stays in files of its own. koffi, which has a native part, lies in node_modules.
 */

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { repositoryRoot } from './run/common.js';

const OUTPUT = join(repositoryRoot, 'dist/app');
/** The program, and the threads that it starts: `new Worker(new URL('./NAME.js', import.meta.url))`, which a bundler does not see. */
const ENTRIES = ['main', 'initiator/worker', 'initiator/attach/nbd-thread'];
const NATIVE = 'koffi';
const PLATFORMS = ['x64', 'arm64'].map((arch) => `@koromix/koffi-linux-${arch}`);
/** CommonJS packages among ES modules ask for Node's own modules by `require`. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
await build({
  entryPoints: ENTRIES.map((name) => join(repositoryRoot, 'dist/src', `${name}.js`)),
  outdir: OUTPUT,
  // All in one folder: threads are looked for beside whoever starts them.
  entryNames: '[name]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  sourcemap: 'linked',
  sourcesContent: false,
  external: [NATIVE],
  banner: { js: BANNER },
  logLevel: 'warning',
});
copyModules();
cpSync(join(repositoryRoot, 'proto'), join(OUTPUT, 'proto'), { recursive: true });
writePackage();

/** koffi, and what it has for the machines that npm has installed it for. */
function copyModules() {
  const modules = join(repositoryRoot, 'node_modules');
  const platforms = PLATFORMS.filter((each) => existsSync(join(modules, each)));
  if (platforms.length === 0) throw new Error(`there is none of ${PLATFORMS.join(', ')} in ${modules}: run npm ci`);
  const isNeeded = (path) => !/\/(doc|vendor|musl_[a-z0-9]+|[A-Z]+\.md)$/.test(path);
  for (const each of [NATIVE, ...platforms]) {
    cpSync(join(modules, each), join(OUTPUT, 'node_modules', each), { recursive: true, filter: isNeeded });
  }
}

function writePackage() {
  const { name, version, license, type, engines } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'));
  writeFileSync(join(OUTPUT, 'package.json'), `${JSON.stringify({ name, version, license, type, engines }, undefined, 2)}\n`);
}
