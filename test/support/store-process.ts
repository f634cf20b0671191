import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./store-worker.js', import.meta.url));

/** How another process opens a store: `openStore(argument)` of a module. */
export interface StoreOpener {
  /** URL of the emitted module. */
  readonly module: string;
  readonly argument: string;
}

/** How a process ended, and all that it said. */
export interface StoreProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
}

/** A process at work on a store (store-worker.ts). */
export class StoreProcess {
  readonly ended: Promise<StoreProcessEnd>;
  readonly lines: string[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Set<() => void>();

  /** @param wrapper a program that starts it, with its arguments: strace, prlimit … */
  constructor({ module, argument }: StoreOpener, job: string, words: readonly string[] = [], wrapper: readonly string[] = []) {
    const [program, ...rest] = [...wrapper, process.execPath, WORKER, module, argument, job, ...words];
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { promise, resolve } = Promise.withResolvers<StoreProcessEnd>();
    this.ended = promise;
    this.#child.once('close', (code, signal) => resolve({ code, signal, lines: this.lines }));
    createInterface(this.#child.stdout).on('line', (line) => {
      this.lines.push(line);
      for (const wake of this.#waiting) wake();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until it has said something that `accept` knows. */
  async said(accept: (line: string) => boolean): Promise<void> {
    while (!this.lines.some(accept)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      await Promise.race([promise, this.ended]);
      this.#waiting.delete(resolve);
      if (this.#child.exitCode !== null && !this.lines.some(accept))
        throw new Error(`it ended early and said: ${this.lines.join(' ')}`);
    }
  }

  /** Lets it end by itself. */
  endInput(): void {
    this.#child.stdin.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Runs a job to its end. */
export async function runStoreProcess(
  opener: StoreOpener,
  job: string,
  words: readonly string[] = [],
  wrapper: readonly string[] = [],
): Promise<StoreProcessEnd> {
  const started = new StoreProcess(opener, job, words, wrapper);
  started.endInput();
  return started.ended;
}
