import type { TargetRecord, TaskRecord } from '../volumes/records.ts';

/** A failed task is tried again no sooner: what was wrong may need a person. */
const RETRY_MS_MIN = 30_000;
/** And no later: whoever has mended something does not want to wait for long. */
const RETRY_MS_MAX = 600_000;

interface Failures {
  readonly count: number;
  /** When it was noticed that the last try had failed; undefined while another one is under way. */
  readonly sinceMs: number | undefined;
}

/** When failed tasks are tried again: each time after twice as long. A target that is gone for good is not asked for all the time. */
export class Retries {
  readonly #steadyMs: () => number;
  #failures = new Map<string, Failures>();

  constructor(steadyMs = () => performance.now()) {
    this.#steadyMs = steadyMs;
  }

  /** Takes note of how all tasks stand; what is not there any more is forgotten. */
  note(targets: readonly TargetRecord[]): void {
    const failures = new Map<string, Failures>();
    for (const { address, task } of targets) {
      if (task === undefined) continue;
      const key = keyOf(address, task);
      failures.set(key, this.#next(this.#failures.get(key) ?? { count: 0, sinceMs: undefined }, task));
    }
    this.#failures = failures;
  }

  /** Whether it is time to try a failed task again. */
  isDue(address: string, task: TaskRecord): boolean {
    const { count = 0, sinceMs = Infinity } = this.#failures.get(keyOf(address, task)) ?? {};
    return this.#steadyMs() - sinceMs >= Math.min(RETRY_MS_MIN * 2 ** (count - 1), RETRY_MS_MAX);
  }

  /** A task was handed out again: should it fail before anybody looks, that is another failure. */
  handedOut(address: string, task: TaskRecord): void {
    const key = keyOf(address, task);
    this.#failures.set(key, { count: this.#failures.get(key)?.count ?? 0, sinceMs: undefined });
  }

  #next({ count, sinceMs }: Failures, { state }: TaskRecord): Failures {
    if (state !== 'failed') return { count, sinceMs: undefined };
    return sinceMs === undefined ? { count: count + 1, sinceMs: this.#steadyMs() } : { count, sinceMs };
  }
}

function keyOf(address: string, { id }: TaskRecord): string {
  return `${address} ${id}`;
}
