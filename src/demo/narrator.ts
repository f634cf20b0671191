const MEGABYTE = 1e6;
const REDRAW_MS = 200;
/** In a log, where lines pile up. */
const LOG_MS = 3_000;

/** Tells on standard output what the demo does, with the seconds since its start. */
export class Narrator {
  readonly #startedMs = performance.now();
  #drawnMs = 0;
  #unfinished = false;

  /** A step that has been done, or begins. */
  say(text: string): void {
    this.#line(`${this.#time()} ${text}`);
  }

  /** How far a long step is; shown now and then, on a terminal in one line that changes. */
  progress(what: string, doneBytes: number, totalBytes: number): void {
    const nowMs = performance.now();
    const terminal = process.stdout.isTTY;
    if (nowMs - this.#drawnMs < (terminal ? REDRAW_MS : LOG_MS)) return;
    this.#drawnMs = nowMs;
    const percent = Math.floor((100 * doneBytes) / totalBytes);
    const text = `${this.#time()}   ${what}: ${percent} %, ${Math.floor(doneBytes / MEGABYTE)} of ${Math.floor(totalBytes / MEGABYTE)} MB`;
    if (!terminal) {
      process.stdout.write(`${text}\n`);
      return;
    }
    process.stdout.write(`\r\u001b[K${text}`);
    this.#unfinished = true;
  }

  #line(text: string): void {
    process.stdout.write(this.#unfinished ? `\r\u001b[K${text}\n` : `${text}\n`);
    this.#unfinished = false;
  }

  #time(): string {
    return `[${((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(5)} s]`;
  }
}
