import { VolumeError } from './errors.ts';

/**
 * One operation at a time on each thing, within this process: across processes the store's versions decide. CSI wants a call that
 * meets another one on the same volume to be answered with ABORTED at once; the orchestrator then calls again.
 */
export class KeyedLock {
  /** The end of the operation under way, for each key that has one. Never rejects. */
  readonly #ends = new Map<string, Promise<void>>();

  /**
   * Runs `work` unless an operation on `key` is under way. The lock is held until `work` has ended, however long its caller
   * waits for it. Does not rely on being asked again by the same operation: that would be refused too.
   * @param key as the message shall name it, e.g. `volume e10.3`
   * @throws VolumeError `aborted` when the key is taken; whatever `work` throws
   */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#ends.has(key)) {
      throw new VolumeError('aborted', `an operation on ${key} is under way; call again when it has ended`);
    }
    return this.#hold(key, work);
  }

  /**
   * Runs `work` as soon as no operation on `key` is under way, for those who have nobody to call again. Who waits for the same
   * key gets it in no particular order.
   * @param signal ends the waiting, not the work: `AbortSignal.timeout()` is a deadline
   * @throws VolumeError `aborted` when the signal comes first: then `work` does not run at all; whatever `work` throws
   */
  async runWhenFree<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let end = this.#ends.get(key); end !== undefined && !signal.aborted; end = this.#ends.get(key)) {
      await endOrAbort(end, signal);
    }
    if (signal.aborted) {
      throw new VolumeError('aborted', `gave up waiting for another operation on ${key}: ${reasonOf(signal)}; try again later`);
    }
    return this.#hold(key, work);
  }

  /** Whether an operation on `key` is under way. */
  isHeld(key: string): boolean {
    return this.#ends.has(key);
  }

  async #hold<T>(key: string, work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ends.set(key, promise);
    try {
      return await work();
    } finally {
      this.#ends.delete(key);
      resolve();
    }
  }
}

async function endOrAbort(end: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  signal.addEventListener('abort', stop, { once: true });
  await Promise.race([end, aborted]);
  signal.removeEventListener('abort', stop);
}

function reasonOf(signal: AbortSignal): string {
  const { name, message } = signal.reason as { name?: string; message?: string };
  return name === 'TimeoutError' ? 'the deadline has passed' : (message ?? String(signal.reason));
}
