import { spawnSync } from 'node:child_process';
import { announce, Refusal, say } from './common.js';
import { runQuietly, succeeds } from './processes.js';

/**
 * Installs those of `packages` that are missing; refuses where it may not.
 *
 * @param packages names of Debian packages
 * @param mayInstall false for --no-install
 * @param optional the job can go on without (its tests are skipped by name)
 */
export function ensureDebianPackages(packages, mayInstall, optional) {
  if (packages.length === 0) return;
  if (!succeeds('dpkg-query', ['--version'])) {
    say(`this is not Debian, so nothing is installed; this job needs what these Debian packages hold: ${packages.join(' ')}`);
    return;
  }
  const missing = packages.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;

  const names = missing.join(' ');
  if (!mayInstall) throw new Refusal(`missing Debian packages: ${names} (not installed because of --no-install)`);
  if (process.getuid() !== 0) {
    if (!optional) throw new Refusal(`missing Debian packages: ${names}; run as root, or \`sudo apt-get install ${names}\``);
    say(`missing Debian packages: ${names}; going on without, since only root can install them`);
    return;
  }
  announce(`installing Debian packages: ${names}`, () => install(missing));
}

function isInstalled(name) {
  const result = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', name], { encoding: 'utf8' });
  return result.status === 0 && result.stdout === 'installed';
}

function install(names) {
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  runQuietly('apt-get', ['update', '--quiet'], environment);
  runQuietly('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...names], environment);
}
