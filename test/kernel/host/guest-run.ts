import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVENTS_FILE, type CaseResult, type GuestEvent } from '../protocol.ts';

/** A machine that a guest runs in. */
export interface GuestMachine {
  readonly running: boolean;
  /** All that has been said on its console. */
  readonly console: string;
  kill(): Promise<void>;
}

/** How long a guest may be silent. */
export interface GuestLimits {
  /** Until the first event: booting takes 10 to 20 s when nobody else wants the processor. */
  readonly bootMs: number;
  /** Between cases: starting the next file's process, loading what it imports. */
  readonly pauseMs: number;
  /** A case has its own limit in the guest; this is for a guest too far gone to keep it. */
  readonly graceMs: number;
  readonly powerOffMs: number;
}

const LIMITS: GuestLimits = { bootMs: 240_000, pauseMs: 180_000, graceMs: 60_000, powerOffMs: 60_000 };
const LOOK_MS = 100;
const CONSOLE_LINES = 60;
const CHUNK_BYTES = 65_536;

/** Follows one guest from its start to its end. */
export class GuestRun {
  readonly #machine: GuestMachine;
  readonly #limits: GuestLimits;
  readonly #eventsPath: string;
  readonly #tell: (event: GuestEvent) => void;
  readonly #finished = new Set<string>();
  #read = 0;
  #partial = '';
  #file = '';
  #case: { readonly file: string; readonly name: string; readonly startedMs: number } | undefined;
  #deadlineMs: number;
  #waitingFor = 'the guest to start its tests';
  #ended = false;

  constructor(machine: GuestMachine, folder: string, tell: (event: GuestEvent) => void, limits = LIMITS) {
    this.#limits = limits;
    this.#deadlineMs = Date.now() + limits.bootMs;
    this.#machine = machine;
    this.#eventsPath = join(folder, EVENTS_FILE);
    this.#tell = tell;
  }

  /** The files that need no other guest: those that have ended, and the one that the guest was lost or stuck in. */
  async follow(): Promise<ReadonlySet<string>> {
    for (;;) {
      const { running } = this.#machine;
      for (const event of this.#newEvents()) this.#take(event);
      if (!running) break;
      if (Date.now() > this.#deadlineMs) break;
      await sleep(LOOK_MS);
    }
    const hung = this.#machine.running;
    await this.#machine.kill();
    if (!this.#ended) this.#lose(hung ? `waited in vain for ${this.#waitingFor}` : 'the guest ended before its tests');
    return this.#finished;
  }

  #take(event: GuestEvent): void {
    if (event.type === 'case') {
      this.#case = { file: event.file, name: event.name, startedMs: Date.now() };
      this.#expect(`the end of '${event.name}'`, event.limitMs + this.#limits.graceMs);
    } else if (event.type === 'file') {
      this.#file = event.file;
      this.#expect(`${event.file} to begin`, this.#limits.pauseMs);
    } else if (event.type === 'file-end') {
      this.#finished.add(event.file);
      this.#expect('the next file', this.#limits.pauseMs);
    } else if (event.type === 'end') {
      this.#ended = true;
      this.#expect('the guest to power off', this.#limits.powerOffMs);
    } else if (event.type !== 'figure') {
      this.#case = undefined;
      this.#expect('what comes next', this.#limits.pauseMs);
    }
    this.#tell(event.type === 'result' && event.status === 'failed' ? this.#withConsole(event) : event);
  }

  #expect(what: string, withinMs: number): void {
    this.#waitingFor = what;
    this.#deadlineMs = Date.now() + withinMs;
  }

  /** A guest that is lost has failed in the case that it was at. */
  #lose(why: string): void {
    const { file, name, startedMs } = this.#case ?? { file: this.#file, name: 'the guest lives', startedMs: Date.now() };
    const lost: CaseResult = { file, name, status: 'failed', durationMs: Date.now() - startedMs, reason: why };
    if (file !== '') this.#finished.add(file);
    this.#tell(this.#withConsole({ type: 'result' as const, ...lost }));
  }

  #withConsole<T extends CaseResult>(result: T): T {
    const lines = this.#machine.console.trimEnd().split('\n').slice(-CONSOLE_LINES);
    return { ...result, reason: `${result.reason}\nEnd of the console:\n  ${lines.join('\n  ')}` };
  }

  #newEvents(): GuestEvent[] {
    if (!existsSync(this.#eventsPath)) return [];
    const file = openSync(this.#eventsPath, 'r');
    try {
      const bytes = Buffer.alloc(CHUNK_BYTES);
      for (;;) {
        const count = readSync(file, bytes, 0, CHUNK_BYTES, this.#read);
        if (count === 0) break;
        this.#read += count;
        this.#partial += bytes.toString('utf8', 0, count);
      }
    } finally {
      closeSync(file);
    }
    const lines = this.#partial.split('\n');
    this.#partial = lines.pop() ?? '';
    return lines.map((line) => JSON.parse(line) as GuestEvent);
  }
}
