import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVENTS_FILE, type CaseResult, type GuestEvent } from '../protocol.ts';
import type { Machine } from './machine.ts';

/** Until the first event: booting takes 10 to 20 s when nobody else wants the processor. */
const BOOT_MS = 240_000;
/** Between cases: starting the next file's process, loading what it imports. */
const PAUSE_MS = 120_000;
/** A case has its own limit in the guest; this is for a guest too far gone to keep it. */
const GRACE_MS = 30_000;
const POWER_OFF_MS = 30_000;
const LOOK_MS = 100;
const CONSOLE_LINES = 60;
const CHUNK_BYTES = 65_536;

/** Follows one guest from its start to its end. */
export class GuestRun {
  readonly #machine: Machine;
  readonly #eventsPath: string;
  readonly #tell: (event: GuestEvent) => void;
  readonly #finished = new Set<string>();
  #read = 0;
  #partial = '';
  #file = '';
  #case: { readonly file: string; readonly name: string; readonly startedMs: number } | undefined;
  #deadlineMs = Date.now() + BOOT_MS;
  #waitingFor = 'the guest to start its tests';
  #ended = false;

  constructor(machine: Machine, folder: string, tell: (event: GuestEvent) => void) {
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
      this.#expect(`the end of '${event.name}'`, event.limitMs + GRACE_MS);
    } else if (event.type === 'file') {
      this.#file = event.file;
      this.#expect(`${event.file} to begin`, PAUSE_MS);
    } else if (event.type === 'file-end') {
      this.#finished.add(event.file);
      this.#expect('the next file', PAUSE_MS);
    } else if (event.type === 'end') {
      this.#ended = true;
      this.#expect('the guest to power off', POWER_OFF_MS);
    } else if (event.type !== 'figure') {
      this.#case = undefined;
      this.#expect('what comes next', PAUSE_MS);
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
    this.#finished.add(file);
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
