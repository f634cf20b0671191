import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { findProgram } from '../system/programs.ts';
import { waitUntil } from '../system/waiting.ts';

const STOP_MS = 5_000;
/** Machines may be slow: emulated ones are. One that has failed is noticed at once. */
const READY_MS = 60_000;
const LOG_LINES_SHOWN = 8;

/** A process of the demo that stays: its output goes to a log file. */
export class Daemon {
  /** Rejects when the process ends by itself; never resolves. */
  readonly broken: Promise<never>;
  readonly #name: string;
  readonly #child: ChildProcess;
  #stopping = false;

  constructor(name: string, logPath: string, commandLine: readonly string[]) {
    this.#name = name;
    const log = openSync(logPath, 'a', 0o600);
    const [program, ...args] = commandLine;
    // In a session of its own: Ctrl-C is for the demo, which ends its daemons in the right order.
    this.#child = spawn(findProgram(program) ?? program, args, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.broken = new Promise((_, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', () => {
        if (!this.#stopping) reject(new Error(`the ${this.#name} has ended by itself`));
      });
    });
    this.broken.catch(() => undefined);
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits until `condition` holds. @throws Error when the process ends before, or it takes too long */
  async ready(condition: () => boolean): Promise<void> {
    if (await Promise.race([waitUntil(condition, READY_MS), this.broken])) return;
    throw new Error(`the ${this.#name} is not ready after ${READY_MS / 1000} s`);
  }

  /** Ends it, at once and without asking for SIGKILL. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#stopping = true;
    this.#child.kill(signal);
    if (await waitUntil(() => this.hasEnded, STOP_MS)) return;
    this.#child.kill('SIGKILL');
    await waitUntil(() => this.hasEnded, STOP_MS);
  }
}

/** The end of a log; '' when there is none. */
export function lastLines(logPath: string): string {
  if (!existsSync(logPath)) return '';
  return readFileSync(logPath, 'utf8').trim().split('\n').slice(-LOG_LINES_SHOWN).join('\n');
}
