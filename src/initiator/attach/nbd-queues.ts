import { execFile, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceError } from './backend.ts';

/** Prints the first line of each file, an empty one where there is none. */
const READ = 'for path; do line=; read -r line <"$path"; printf "%s\\n" "$line"; done';
const WRITE = 'printf %s "$2" >"$1"';

export interface NbdQueuesOptions {
  /** For tests. */
  readonly folder?: string;
  /** A call that takes longer is stuck. */
  readonly patienceMs?: number;
}

interface Call {
  /** `writing /sys/block/nbd0/queue/scheduler` */
  readonly what: string;
  readonly startedMs: number;
  /** It has returned. */
  readonly returned: Promise<void>;
  /** Known when it has returned, or has not in time. */
  readonly isInTime: Promise<boolean>;
  isStuck: boolean;
}

/**
 * Settings of the kernel's NBD devices that may have to wait for their requests: all of /sys/block/nbdN/queue. Some are set when no
 * request is under way any more (6.1: a scheduler; 6.12: the timeout, too), and whoever as much as reads there waits for who sets it
 * (seen with both). So one request whose target is silent makes all of this last for as long as the silence, uninterruptibly.
 *
 * Hence a process of its own does it, and not a thread. Threads of Node's pool are four; and a killed process does not let go of its
 * descriptors before its last thread has ended: neither of the socket without which that request is never answered, nor of the lock
 * that the next initiator waits for.
 *
 * One call at a time for each device, and none behind one that is stuck: so no device ever has more than one such process.
 */
export class NbdQueues {
  readonly #folder: string;
  readonly #patienceMs: number;
  readonly #calls = new Map<number, Call>();

  constructor({ folder = '/sys/block', patienceMs = 5_000 }: NbdQueuesOptions = {}) {
    this.#folder = folder;
    this.#patienceMs = patienceMs;
  }

  /** What of a device has not returned in time, a sentence; '' when nothing is stuck. */
  trouble(index: number): string {
    const call = this.#calls.get(index);
    return call?.isStuck === true ? troubleOf(call) : '';
  }

  /** Waits until nothing of a device is stuck any more, for as long as that takes. */
  async idle(index: number): Promise<void> {
    await this.#calls.get(index)?.returned;
  }

  /**
   * @param attributes `queue/scheduler`
   * @returns what stands there, '' where there is no such attribute, or no such device
   * @throws DeviceError
   */
  async read(index: number, attributes: readonly string[]): Promise<string[]> {
    const paths = attributes.map((attribute) => this.pathOf(index, attribute));
    const text = await this.#call(index, `reading ${paths[0]}`, READ, paths);
    return text.split('\n').slice(0, paths.length);
  }

  /** @throws DeviceError; when that says that it is stuck, it may still be set later */
  async write(index: number, attribute: string, value: number | string): Promise<void> {
    const path = this.pathOf(index, attribute);
    await this.#call(index, `writing ${path}`, WRITE, [path, String(value)]);
  }

  pathOf(index: number, attribute: string): string {
    return join(this.#folder, `nbd${index}`, attribute);
  }

  async #call(index: number, what: string, script: string, words: readonly string[]): Promise<string> {
    for (let before = this.#calls.get(index); before !== undefined; before = this.#calls.get(index)) {
      if (before.isStuck) throw new DeviceError('unavailable', troubleOf(before));
      await before.isInTime;
    }
    const { child, printed } = shell(script, words);
    const late = new AbortController();
    const returned = printed.then(
      () => this.#returned(index, late),
      () => this.#returned(index, late),
    );
    const inTime = returned.then(() => true);
    const isInTime = Promise.race([inTime, sleep(this.#patienceMs, false, { signal: late.signal }).catch(async () => inTime)]);
    const call: Call = { what, startedMs: performance.now(), returned, isInTime, isStuck: false };
    this.#calls.set(index, call);
    if (await isInTime) return printed;
    call.isStuck = true;
    leave(child);
    throw new DeviceError('unavailable', troubleOf(call));
  }

  #returned(index: number, late: AbortController): void {
    this.#calls.delete(index);
    late.abort();
  }
}

function troubleOf({ what, startedMs }: Call): string {
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  return (
    `the kernel has not returned from ${what} for ${seconds} s, probably because it waits for a request that the target does not ` +
    `answer; nothing more is set there until it has`
  );
}

/** @returns the process, and what it has printed once it has ended; that rejects with DeviceError */
function shell(script: string, words: readonly string[]): { child: ChildProcess; printed: Promise<string> } {
  const { promise: printed, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile('sh', ['-c', script, 'sh', ...words], (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new DeviceError('unavailable', stderr.trim() || error.message));
  });
  return { child, printed };
}

/** A process that nothing can end keeps nobody else from ending. */
function leave(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as Socket | null)?.unref();
}
