import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { announce, Refusal, say } from './common.js';
import { runQuietly } from './processes.js';

/** The oldest Node that this project runs on. */
const MAJOR_MIN = 24;

/** What is fetched where Node is older: npm packages that hold nothing but Node's own binary (docs/decisions/0005). */
const FETCHED_VERSION = '24.21.0';
const FETCHED_INTEGRITY = {
  x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/** Puts a Node of at least MAJOR_MIN first in this process' PATH, fetching it into the user's cache if there is none. */
export function ensureNode(mayInstall) {
  if (Number.parseInt(process.versions.node, 10) >= MAJOR_MIN) return;

  const integrity = process.platform === 'linux' ? FETCHED_INTEGRITY[process.arch] : undefined;
  if (integrity === undefined) {
    throw new Refusal(
      `Node ${process.versions.node} is too old: install Node ${MAJOR_MIN} or newer for ${process.platform} ${process.arch}`,
    );
  }
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'aoe-csi');
  const home = join(cache, `node-${FETCHED_VERSION}-linux-${process.arch}`);
  if (!answersWithVersion(home)) {
    const what = `Node ${process.versions.node} is older than ${MAJOR_MIN}: fetching Node ${FETCHED_VERSION} from npm into ${home}`;
    if (!mayInstall)
      throw new Refusal(`${what} is refused by --no-install; install Node ${MAJOR_MIN} or newer, or leave that option out`);
    announce(what, () => fetchNode(cache, home, integrity));
  } else {
    say(`using Node ${FETCHED_VERSION} from ${home}, because ${process.versions.node} is older than ${MAJOR_MIN}`);
  }
  process.env.PATH = join(home, 'bin') + delimiter + process.env.PATH;
}

/** Unpacks beside the final place and renames, so that two runs at once don't see each other's half of it. */
function fetchNode(cache, home, integrity) {
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, 'fetching-node-'));
  try {
    const name = `node-linux-${process.arch}`;
    runQuietly('npm', ['pack', '--silent', '--pack-destination', scratch, `${name}@${FETCHED_VERSION}`]);
    const archive = join(scratch, `${name}-${FETCHED_VERSION}.tgz`);
    checkIntegrity(archive, integrity);
    runQuietly('tar', ['-xzf', archive, '-C', scratch]);

    const unpacked = join(scratch, 'package');
    if (!answersWithVersion(unpacked)) {
      throw new Refusal(
        `the Node ${FETCHED_VERSION} fetched from npm does not run on this machine; install Node ${MAJOR_MIN} or newer by hand`,
      );
    }
    try {
      renameSync(unpacked, home);
    } catch {
      // Another run was faster (then its copy will do), or a damaged copy is in the way.
      if (!answersWithVersion(home)) {
        rmSync(home, { recursive: true, force: true });
        renameSync(unpacked, home);
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function checkIntegrity(archive, expected) {
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== expected) {
    throw new Refusal(`${archive} is not what this project was tested with: its hash is ${found}, expected ${expected}`);
  }
}

function answersWithVersion(home) {
  const node = join(home, 'bin', 'node');
  if (!existsSync(node)) return false;
  try {
    return runQuietly(node, ['--version']).trim() === `v${FETCHED_VERSION}`;
  } catch {
    return false;
  }
}
