import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { findProgram } from '../system/programs.ts';
import { waitUntil } from '../system/waiting.ts';

const STOP_MS = 5_000;
const READY_MS = 15_000;
const LOG_LINES_SHOWN = 8;

/** A process of the demo that stays: its output goes to a log file. */
export class Daemon {
  readonly #name: string;
  readonly #logPath: string;
  readonly #child: ChildProcess;

  constructor(name: string, logPath: string, commandLine: readonly string[]) {
    this.#name = name;
    this.#logPath = logPath;
    const log = openSync(logPath, 'a', 0o600);
    const [program, ...args] = commandLine;
    // In a session of its own: Ctrl-C is for the demo, which ends its daemons in the right order.
    this.#child = spawn(findProgram(program) ?? program, args, { detached: true, stdio: ['ignore', log, log] });
    this.#child.on('error', () => undefined);
    closeSync(log);
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits until `condition` holds. @throws Error with the end of the log when the process ends before, or it takes too long */
  async ready(condition: () => boolean): Promise<void> {
    if ((await waitUntil(() => this.hasEnded || condition(), READY_MS)) && !this.hasEnded) return;
    const how = this.hasEnded ? 'has ended' : `is not ready after ${READY_MS / 1000} s`;
    throw new Error(`the ${this.#name} ${how}:\n${lastLines(this.#logPath)}`);
  }

  /** Ends it, at once and without asking for SIGKILL. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
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
