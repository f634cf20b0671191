import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { patiently } from './patience.ts';

/** How long a process may take to end after SIGTERM. */
const END_MS = 3_000;

/** A process that a test has started: what it printed, line by line, and its end. It dies with the test's own process. */
export class TestProcess {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly name: string;
  readonly child: ChildProcess;
  #onLine: ((line: string) => void) | undefined;

  constructor(name: string, words: readonly string[], folder: string) {
    this.name = name;
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', ...words], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr, stdin } = this.child;
    if (stdout === null || stderr === null || stdin === null) throw new Error(`${name} was started without pipes`);
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine?.(line);
    });
    createInterface({ input: stderr }).on('line', (line) => this.errors.push(line));
    // Whoever writes to a process that has just died is told so by what it waits for.
    stdin.on('error', () => undefined);
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Calls back for every line from now on. */
  onLine(callback: (line: string) => void): void {
    this.#onLine = callback;
  }

  write(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Ends the process, by force when it does not listen. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return;
    const gone = once(this.child, 'exit');
    this.signal(signal);
    // A stopped process acts on SIGTERM only when it goes on.
    this.signal('SIGCONT');
    const late = await Promise.race([gone.then(() => false), sleep(END_MS, true, { ref: false })]);
    if (late) this.signal('SIGKILL');
    if (late) await gone;
  }

  /** What a person wants to see when a test fails. */
  get report(): string {
    const end = this.running ? 'runs' : `ended with ${String(this.child.exitCode ?? this.child.signalCode)}`;
    return `${this.name} ${end}; it said: ${[...this.lines.slice(-8), ...this.errors.slice(-8)].join('\n  ')}`;
  }
}

/**
 * Looks every few milliseconds until `look` answers something, which is returned; throws with `what` after `timeoutMs` on a quiet
 * machine (patience.ts).
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const limitMs = patiently(timeoutMs);
  const endMs = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() >= endMs) throw new Error(`waited ${String(limitMs)} ms in vain for ${what}`);
    await sleep(10);
  }
}

/** The promise's value; throws with `what` when it takes longer than `timeoutMs` on a quiet machine: a hang is a finding. */
export async function within<T>(what: string, timeoutMs: number, promise: Promise<T>): Promise<T> {
  const limitMs = patiently(timeoutMs);
  const late = sleep(limitMs, undefined, { ref: false }).then(() => {
    throw new Error(`${what} took longer than ${String(limitMs)} ms`);
  });
  return Promise.race([promise, late]);
}
