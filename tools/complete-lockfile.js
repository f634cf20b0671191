/**
 * `node tools/complete-lockfile.js`, after a change of dependencies: adds to package-lock.json what npm left out.
 *
 * npm leaves an optional dependency out of the lockfile when the registry it asked does not have it (a mirror that holds only some
 * platforms), and `npm ci` then refuses that lockfile on every machine. Such packages are builds for other platforms, named for
 * them; an entry with version and platform is all that `npm ci` needs to pass them over. test/tidy/lockfile.test.ts checks.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OPERATING_SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];

/**
 * Optional dependencies without an entry.
 *
 * @param packages the `packages` object of a lockfile (version 3)
 * @returns `[{ name, version, path, dependent }]`, where path is the key that the entry would have
 */
export function missingOptionals(packages) {
  return Object.entries(packages).flatMap(([dependent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !placesOf(name, dependent).some((path) => path in packages))
      .map(([name, version]) => ({ name, version, path: `node_modules/${name}`, dependent })),
  );
}

/** Where Node would look for `name` from the package at `dependent`: its own node_modules, then each one further up. */
function placesOf(name, dependent) {
  const parts = dependent.split('/node_modules/');
  const nested = parts.map((_, index) => [...parts.slice(0, index + 1), name].join('/node_modules/'));
  return [...nested, `node_modules/${name}`];
}

function entryFor({ name, version, dependent }, packages) {
  const words = name.split(/[/-]/);
  const os = words.filter((word) => OPERATING_SYSTEMS.includes(word));
  const cpu = words.filter((word) => PROCESSORS.includes(word));
  if (os.length !== 1 || cpu.length !== 1 || !/^\d/.test(version)) {
    throw new Error(`cannot tell the platform of ${name}@${version} from its name: npm install it from a registry that has it`);
  }
  const musl = words.some((word) => word.startsWith('musl'));
  const glibc = words.some((word) => word.startsWith('gnu'));
  return {
    version,
    cpu,
    ...(packages[dependent].dev ? { dev: true } : {}),
    ...(musl ? { libc: ['musl'] } : glibc ? { libc: ['glibc'] } : {}),
    optional: true,
    os,
  };
}

function main() {
  const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const lockfile = JSON.parse(readFileSync(path, 'utf8'));
  const missing = missingOptionals(lockfile.packages);
  for (const optional of missing) lockfile.packages[optional.path] = entryFor(optional, lockfile.packages);

  const inOrder = Object.entries(lockfile.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lockfile.packages = Object.fromEntries(inOrder);
  writeFileSync(path, `${JSON.stringify(lockfile, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} entries added`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
