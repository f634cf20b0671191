import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { QUARANTINE_US } from '../aoe/limits.ts';

/**
 * Keeps volumes from being used before all that an initiator before this one may have sent has arrived or is lost. A write of a process
 * that was killed may sit in a switch; were the same sectors written meanwhile, it would roll them back (decision 0009). In its own life
 * an initiator keeps account of what it has sent; what the one before has sent nobody knows.
 */
export class Quarantine {
  readonly #mark: string;
  readonly #lengthMs: number;
  readonly #begun: Promise<void>;
  #begin: () => void = () => undefined;
  #endMs = 0;

  /** @param mark a file in the run directory: it is there when an initiator with that directory has ever used a volume */
  constructor(mark: string, lengthMs = QUARANTINE_US / 1_000) {
    this.#mark = mark;
    this.#lengthMs = lengthMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#begun = promise;
    this.#begin = resolve;
  }

  /** Whoever had the run directory is dead, or has sent his last frame. */
  begin(): void {
    this.#endMs = existsSync(this.#mark) ? performance.now() + this.#lengthMs : 0;
    this.#begin();
  }

  /** Resolves when a volume may be used. @throws the signal's reason */
  async end(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (!signal.aborted) await Promise.race([this.#begun, over]);
    signal.throwIfAborted();
    const restMs = Math.ceil(this.#endMs - performance.now());
    if (restMs > 0) await sleep(restMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
    // A full disk must not keep a device from being served again that has been before.
    if (!existsSync(this.#mark)) writeFileSync(this.#mark, '', { mode: 0o600 });
  }
}
