import { readFileSync } from 'node:fs';
import { announce, Refusal } from './common.js';
import { runQuietly } from './processes.js';

/** Runs `npm ci` unless node_modules holds what package-lock.json says. */
export function ensureDependencies(mayInstall) {
  if (isInstalled()) return;
  if (!mayInstall)
    throw new Refusal('node_modules is not what package-lock.json says (not installed because of --no-install); run `npm ci`');
  announce('installing npm packages (npm ci)', () => runQuietly('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']));
}

/** npm writes what it installed into node_modules/.package-lock.json, in the lockfile's own format. */
function isInstalled() {
  const installed = readPackages('node_modules/.package-lock.json');
  if (installed === undefined) return false;
  return Object.entries(readPackages('package-lock.json')).every(
    ([path, wanted]) => path === '' || wanted.optional || installed[path]?.version === wanted.version,
  );
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
