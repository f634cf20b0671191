import type { Collection, Versioned } from './store.ts';

/**
 * Waits until a record is as somebody wants it: reads it now and after each change.
 * @param accept answers whether the record (undefined: there is none) is what is waited for
 * @param signal ends the waiting
 * @returns the record as accepted, or as last read when the signal came first: ask `accept` again to tell the two apart
 */
export async function waitForRecord<T>(
  collection: Collection<T>,
  name: string,
  accept: (record: Versioned<T> | undefined) => boolean,
  signal: AbortSignal,
): Promise<Versioned<T> | undefined> {
  let news = Promise.withResolvers<void>();
  const wake = () => news.resolve();
  // Watching starts before the first reading: what changes in between is noticed.
  const stop = collection.watch((names) => {
    if (names.includes(name)) wake();
  });
  signal.addEventListener('abort', wake, { once: true });
  try {
    for (;;) {
      news = Promise.withResolvers<void>();
      const record = await collection.get(name);
      if (accept(record) || signal.aborted) return record;
      await news.promise;
    }
  } finally {
    stop();
    signal.removeEventListener('abort', wake);
  }
}
