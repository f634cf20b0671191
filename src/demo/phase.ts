/** A long step that moves bytes: how long it took, and how long its longest standstill was. */
export class Phase {
  readonly #startedMs = performance.now();
  #movedMs = this.#startedMs;
  #endedMs = Infinity;
  #bytes = 0;
  /** Longest time without any progress. */
  standstillMs = 0;

  moved(doneBytes: number): void {
    const nowMs = performance.now();
    this.standstillMs = Math.max(this.standstillMs, nowMs - this.#movedMs);
    this.#movedMs = nowMs;
    this.#bytes = doneBytes;
  }

  end(): void {
    this.moved(this.#bytes);
    this.#endedMs = performance.now();
  }

  get bytes(): number {
    return this.#bytes;
  }

  get seconds(): number {
    return (this.#endedMs - this.#startedMs) / 1000;
  }

  /** Bytes per second, with `withoutMs` left out of the time. */
  rate(withoutMs = 0): number {
    return this.#bytes / (this.seconds - withoutMs / 1000);
  }
}
