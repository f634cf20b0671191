import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'aoeb';
const NAMESPACE_DIRECTORY = '/run/netns';
/** The veth pair's name on both sides; each side has its own namespace. */
export const INTERFACE = 'san0';
/** From the block that RFC 2544 sets aside for benchmarks. The namespaces are ours alone, so they clash with nobody. */
export const INITIATOR_ADDRESS = '198.18.0.1';
export const TARGET_ADDRESS = '198.18.0.2';

function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * Two network namespaces joined by a veth pair: the initiator's side and the target's. Their names carry this process' id,
 * so that runs don't meet, and what a killed one left behind can be told. Needs root and iproute2.
 */
export class NetworkPair {
  readonly mtu: number;
  readonly #initiator: string;
  readonly #target: string;

  /**
   * Without `offload` TCP cuts its segments to the MTU itself, instead of handing 64 KiB at a time to an interface that never
   * has to cut them: veth carries them whole.
   */
  constructor(mtu: number, offload: boolean) {
    this.mtu = mtu;
    this.#initiator = `${PREFIX}${process.pid}-initiator`;
    this.#target = `${PREFIX}${process.pid}-target`;
    ip('netns', 'add', this.#initiator);
    ip('netns', 'add', this.#target);
    ip(
      'link',
      'add',
      INTERFACE,
      'netns',
      this.#initiator,
      'mtu',
      `${mtu}`,
      'type',
      'veth',
      'peer',
      'name',
      INTERFACE,
      'netns',
      this.#target,
    );
    ip('-n', this.#target, 'link', 'set', INTERFACE, 'mtu', `${mtu}`);
    for (const [namespace, address] of [
      [this.#initiator, INITIATOR_ADDRESS],
      [this.#target, TARGET_ADDRESS],
    ]) {
      ip('-n', namespace, 'address', 'add', `${address}/30`, 'dev', INTERFACE);
      if (!offload) ip('-n', namespace, 'link', 'set', INTERFACE, 'gso_max_segs', '1');
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'set', INTERFACE, 'up');
    }
  }

  /** The command line that runs `commandLine` on the initiator's side. `ip netns exec` becomes the program: same process id. */
  onInitiator(commandLine: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.#initiator, ...commandLine];
  }

  onTarget(commandLine: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.#target, ...commandLine];
  }

  /** Removes both sides. Processes in them must have ended, else the kernel keeps the pair until they have. */
  remove(): void {
    for (const namespace of [this.#initiator, this.#target]) ip('netns', 'delete', namespace);
  }
}

/** What the name of a run's temporary directory begins with. */
export const DIRECTORY_PREFIX = `${PREFIX}${process.pid}-`;

/** Where a run keeps its volume: memory, so that no disk is measured. */
export function volumeDirectory(pid = process.pid): string {
  return `/dev/shm/${PREFIX}${pid}`;
}

/** Removes what runs that were killed have left: their processes, namespaces and volumes. Returns what it removed. */
export function removeLeftovers(): string[] {
  const removed: string[] = [];
  for (const namespace of namesOfTheDead(NAMESPACE_DIRECTORY)) {
    for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean)) kill(Number(pid));
    ip('netns', 'delete', namespace);
    removed.push(`network namespace ${namespace}`);
  }
  for (const parent of ['/dev/shm', tmpdir()]) {
    for (const name of namesOfTheDead(parent)) {
      rmSync(join(parent, name), { recursive: true, force: true });
      removed.push(`directory ${join(parent, name)}`);
    }
  }
  return removed;
}

/** Entries of `directory` that a bench process made which is no more. */
function namesOfTheDead(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return []; // no namespace was ever made here
  }
  return names.filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)(-.*)?$`).exec(name)?.[1];
    return pid !== undefined && !isBench(pid);
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself since it was listed.
  }
}

function isBench(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bench');
  } catch {
    return false;
  }
}
