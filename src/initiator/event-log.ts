import type { EventMessage } from './control-messages.ts';

/** Events kept for those who ask later. */
const EVENTS_KEPT = 256;
/** Events that wait for one slow reader; more are left out, and counted to it. */
const EVENTS_WAITING_MAX = 256;

/** What has happened, for people: the latest events, and a stream of new ones. */
export class EventLog {
  readonly #kept: EventMessage[] = [];
  readonly #readers = new Set<Reader>();
  #closed = false;

  add(kind: string, target: string, text: string): void {
    const event = { time: new Date().toISOString(), kind, target, text };
    this.#kept.push(event);
    if (this.#kept.length > EVENTS_KEPT) this.#kept.shift();
    for (const reader of this.#readers) reader.take(event);
  }

  /** Ends those who follow: there will be no more events. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.wake();
  }

  /** The latest events, oldest first; then, with `follow`, new ones until `signal` is aborted. */
  async *read(follow: boolean, signal: AbortSignal): AsyncIterable<EventMessage> {
    const reader = new Reader(this.#kept);
    if (!follow) {
      yield* reader.drain();
      return;
    }
    const wake = (): void => reader.wake();
    signal.addEventListener('abort', wake);
    this.#readers.add(reader);
    try {
      for (;;) {
        yield* reader.drain();
        if (signal.aborted || this.#closed) return;
        await reader.news();
      }
    } finally {
      this.#readers.delete(reader);
      signal.removeEventListener('abort', wake);
    }
  }
}

/** One who reads along. */
class Reader {
  #waiting: EventMessage[];
  #leftOut = 0;
  #news = Promise.withResolvers<void>();

  constructor(first: readonly EventMessage[]) {
    this.#waiting = [...first];
  }

  take(event: EventMessage): void {
    if (this.#waiting.length < EVENTS_WAITING_MAX) this.#waiting.push(event);
    else this.#leftOut++;
    this.wake();
  }

  wake(): void {
    this.#news.resolve();
  }

  async news(): Promise<void> {
    await this.#news.promise;
    this.#news = Promise.withResolvers<void>();
  }

  *drain(): Iterable<EventMessage> {
    const events = this.#waiting;
    const leftOut = this.#leftOut;
    this.#waiting = [];
    this.#leftOut = 0;
    yield* events;
    if (leftOut === 0) return;
    const text = `${leftOut} events were left out because they were not read fast enough`;
    yield { time: new Date().toISOString(), kind: 'limit', target: '', text };
  }
}
