/** Work on one key happens one piece after the other, in the order it was asked for; different keys don't wait for each other. */
export class KeyedQueue {
  /** The end of the last piece of work for each key that has any. */
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` when everything asked for `key` before has ended.
   * @throws the signal's reason, when it is aborted while waiting: then `work` does not run at all
   */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const tail = before.then(async () => ended);
    this.#tails.set(key, tail);
    // Whoever gives up waiting has ended before those in front of him.
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    try {
      await Promise.race([before, rejection(signal)]);
      return await work();
    } finally {
      end();
    }
  }
}

async function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
