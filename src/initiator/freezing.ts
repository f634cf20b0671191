import type { Engine } from '../aoe/engine.ts';
import { duplicate } from '../system/unix-socket.ts';
import type { FrozenConnection } from './messages.ts';
import type { Connection } from './nbd-front.ts';

/**
 * Brings connections to a point where another process can go on with them: no request taken and not answered, no frame on its way.
 * What their volumes still have to do is waited for, but not for ever.
 */
export class Freezing {
  /** When to look again, if nothing has happened. */
  dueUs: number;
  readonly #connections: readonly Connection[];
  readonly #engine: Engine;
  readonly #done: (frozen: readonly FrozenConnection[]) => void;

  /** `done` is called once: with those that have come to that point until `dueUs`. */
  constructor(
    connections: readonly Connection[],
    dueUs: number,
    engine: Engine,
    done: (frozen: readonly FrozenConnection[]) => void,
  ) {
    this.#connections = connections;
    this.#engine = engine;
    this.#done = done;
    this.dueUs = dueUs;
    for (const { session } of connections) session.freeze();
  }

  /** To be called after every turn. */
  check(nowUs: number): void {
    if (this.dueUs === Infinity) return;
    const drained = this.#connections.filter((each) => this.#isDrained(each));
    if (nowUs < this.dueUs && drained.length < this.#connections.length) return;
    this.dueUs = Infinity;
    this.#done(drained.flatMap((each) => this.#describe(each, nowUs) ?? []));
  }

  #isDrained({ session, listener }: Connection): boolean {
    return session.drained && this.#engine.quietUs(listener.volume) < Infinity;
  }

  /** Undefined, and it goes the way of a crash, when no more descriptors can be had. */
  #describe({ session, listener: { volume }, fd, kernelId }: Connection, nowUs: number): FrozenConnection | undefined {
    const copy = tryToDuplicate(fd);
    if (copy === undefined) return undefined;
    return {
      connection: kernelId,
      fd: copy,
      unread: session.unread(),
      quietMs: Math.ceil(Math.max(this.#engine.quietUs(volume) - nowUs, 0) / 1_000),
      unflushedWrites: volume.writesDone - volume.writesFlushed,
    };
  }
}

function tryToDuplicate(fd: number): number | undefined {
  try {
    return duplicate(fd);
  } catch {
    return undefined;
  }
}
