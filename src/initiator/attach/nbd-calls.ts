import { Worker } from 'node:worker_threads';
import type { NbdConnect, NbdReconfigure } from '../../system/nbd-netlink-codec.ts';

/** What the kernel's NBD driver is asked for. */
export type NbdCall =
  /** Answers whether the driver is there, and whether it knows identifiers. */
  | { readonly op: 'probe' }
  /** Answers a descriptor for NbdLinkMonitor. */
  | { readonly op: 'monitor' }
  /** Answers the index of the new device. */
  | { readonly op: 'connect'; readonly device: NbdConnect }
  | { readonly op: 'reconfigure'; readonly change: NbdReconfigure }
  /** One change after the other, and `last` whatever becomes of them: nothing comes in between. */
  | { readonly op: 'grow'; readonly changes: readonly NbdReconfigure[]; readonly last: NbdReconfigure }
  /** Does nothing when the device is gone, or another's by the time the call is made. */
  | { readonly op: 'disconnect'; readonly index: number; readonly identifier: string };

export type NbdProbe = 'missing' | 'too-old' | 'usable';

/** What the thread says: that it makes the call now, and how that ended. */
export type NbdThreadMessage = 'begun' | NbdCallOutcome;

export type NbdCallOutcome =
  | { readonly done: true; readonly value: NbdProbe | number | undefined }
  | { readonly done: false; readonly errno: string; readonly message: string };

/** A call that failed, or was not made. Told apart by `errno`, the error's name; empty when the call was not made. */
export class NbdCallError extends Error {
  override readonly name = 'NbdCallError';
  readonly code = 'unavailable';
  readonly errno: string;

  constructor(errno: string, message: string) {
    super(message);
    this.errno = errno;
  }
}

export interface NbdCallsOptions {
  /** Told when a call has not returned after `alarmMs`, and when it has returned after all. */
  readonly alarm: (text: string) => void;
  readonly alarmMs?: number;
  /** The thread's module. */
  readonly thread?: URL;
}

interface Waiting {
  readonly call: NbdCall;
  readonly resolve: (value: NbdProbe | number | undefined) => void;
  readonly reject: (error: Error) => void;
}

const ALARM_MS = 5_000;

/**
 * Calls of the kernel's NBD driver, one at a time, in a thread that does nothing else: each is carried out inside a system call that
 * can't be interrupted, and some circumstances make it last for ever (see src/system/nbd-control.ts). Node's own pool of threads also
 * reads and writes our files: a call that is stuck would take one of its four for good.
 *
 * Behind a call that is stuck no other is made: it would be stuck, too, and what was asked for could not be taken back.
 */
export class NbdCalls {
  readonly #options: NbdCallsOptions;
  readonly #queue: Waiting[] = [];
  #thread: Worker | undefined;
  #current: Waiting | undefined;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStuck = false;
  #isStopped = false;

  constructor(options: NbdCallsOptions) {
    this.#options = options;
  }

  /** What has not returned in time, a sentence; '' when nothing is stuck. */
  get trouble(): string {
    if (!this.#isStuck || this.#current === undefined) return '';
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
    return (
      `the kernel's NBD driver has not returned from ${describe(this.#current.call)} for ${seconds} s; nothing more is asked of it ` +
      `until it has; see the kernel's log, and what waits for it with: cat /proc/*/task/*/wchan`
    );
  }

  /** Nothing is asked of the driver any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Throws NbdCallError. */
  async run(call: NbdCall): Promise<NbdProbe | number | undefined> {
    if (this.#isStuck) throw new NbdCallError('', this.trouble);
    if (this.#isStopped) throw new NbdCallError('', 'this initiator ends, and asks nothing of the kernel any more');
    return new Promise((resolve, reject) => {
      this.#queue.push({ call, resolve, reject });
      this.#next();
    });
  }

  /** Makes a call that answers a number. */
  async number(call: NbdCall): Promise<number> {
    const value = await this.run(call);
    if (typeof value !== 'number') throw new Error(`${describe(call)} was answered with ${String(value)}, not with a number`);
    return value;
  }

  /** Ends the thread; one that is stuck ends with its call. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    void this.#thread?.terminate();
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#current = waiting;
    const thread = this.#worker();
    thread.ref();
    thread.postMessage(waiting.call);
  }

  /** Only now: a new thread takes a while to start. */
  #begun(): void {
    this.#startedMs = performance.now();
    this.#timer = setTimeout(() => this.#alarm(), this.#options.alarmMs ?? ALARM_MS);
    this.#timer.unref();
  }

  #alarm(): void {
    this.#isStuck = true;
    this.#options.alarm(this.trouble);
    for (const { reject } of this.#queue.splice(0)) reject(new NbdCallError('', this.trouble));
  }

  #returned(outcome: NbdCallOutcome): void {
    clearTimeout(this.#timer);
    // A thread that has nothing to do keeps nobody from ending.
    this.#thread?.unref();
    const { call, resolve, reject } = this.#current ?? {};
    if (this.#isStuck && call !== undefined) {
      const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
      this.#options.alarm(`the kernel's NBD driver has returned from ${describe(call)} after ${seconds} s`);
    }
    this.#isStuck = false;
    this.#current = undefined;
    if (outcome.done) resolve?.(outcome.value);
    else reject?.(new NbdCallError(outcome.errno, outcome.message));
    this.#next();
  }

  #worker(): Worker {
    if (this.#thread === undefined) {
      const thread = new Worker(this.#options.thread ?? new URL('./nbd-thread.js', import.meta.url));
      thread.on('message', (message: NbdThreadMessage) => {
        if (message === 'begun') this.#begun();
        else this.#returned(message);
      });
      thread.on('error', (error) => this.#broken(thread, error.message));
      thread.on('exit', () => this.#broken(thread, 'it has ended'));
      this.#thread = thread;
    }
    return this.#thread;
  }

  /** The next call starts a new one. */
  #broken(thread: Worker, message: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    if (this.#current !== undefined) {
      this.#returned({ done: false, errno: '', message: `the thread for the kernel's NBD driver has failed: ${message}` });
    }
  }
}

function describe(call: NbdCall): string {
  switch (call.op) {
    case 'probe':
      return 'the question for its family';
    case 'monitor':
      return 'joining its group';
    case 'connect':
      return `NBD_CMD_CONNECT for ${call.device.identifier}`;
    case 'reconfigure':
      return `NBD_CMD_RECONFIGURE of /dev/nbd${call.change.index}`;
    case 'grow':
      return `NBD_CMD_RECONFIGURE of /dev/nbd${call.last.index}, which grows`;
    case 'disconnect':
      return `NBD_CMD_DISCONNECT of /dev/nbd${call.index}`;
  }
}
