import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 3000;
const READY_TIMEOUT_MS = 10_000;
const READY_PROBE_MS = 10;
const OUTPUT_BYTES_MAX = 16_000_000;
/** Unit of the times in /proc/<pid>/stat: USER_HZ, 100 on every Linux that matters. */
const TICKS_PER_SECOND = 100;

/** A program that the bench has started, by its process id: it is never looked for by name. */
export class RunningProcess {
  readonly commandLine: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;
  #output = '';
  #errors = '';

  constructor(commandLine: readonly string[]) {
    this.commandLine = commandLine.join(' ');
    const [command, ...words] = commandLine;
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (this.#output.length < OUTPUT_BYTES_MAX) this.#output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.#errors.length < OUTPUT_BYTES_MAX) this.#errors += text;
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown end'));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  /** Waits for its end; throws with its standard error unless it exited with 0. Returns its standard output. */
  async finish(): Promise<string> {
    const end = await this.#exited;
    if (end !== 0) throw new Error(`${this.commandLine}: ended with ${end}: ${this.#errors.trim() || 'no message'}`);
    return this.#output;
  }

  /** Waits until `probe` says yes, which it is asked every few milliseconds; throws if the program ends before that or takes too long. */
  async ready(probe: () => boolean): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!probe()) {
      if (this.hasEnded)
        throw new Error(`${this.commandLine}: ended before it was ready: ${this.#errors.trim() || this.#output}`);
      if (performance.now() > deadline)
        throw new Error(`${this.commandLine}: not ready after ${READY_TIMEOUT_MS} ms: ${this.#errors}`);
      await sleep(READY_PROBE_MS);
    }
  }

  /** Asks it to end, and kills it when it doesn't. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    const alarm = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(alarm);
  }

  /** For the last moment of a process that can't wait. */
  kill(): void {
    if (!this.hasEnded) this.#child.kill('SIGKILL');
  }

  /** User and system time it has used so far, without children it hasn't waited for. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.pid);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }
}

/** User and system time of a living process (proc(5), /proc/pid/stat). Throws when there is none of that id. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name is in parentheses and may hold anything; the numbers begin after the last one, with field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[14 - 3]), Number(fields[15 - 3])];
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}
