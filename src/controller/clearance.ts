import { setTimeout as sleep } from 'node:timers/promises';
import type { TargetRecord } from '../volumes/records.ts';

/** Wiping headers takes a second or two. Whoever wipes whole disks waits no longer than this for a call to be answered. */
const CLEARANCE_MS = 15_000;
/** Many may wait for one target; a look now and then is as good as a watch for each of them. */
const LOOK_MS = 250;

/** A target as it will be when its wipe, which is under way, has ended; others as they are. */
export function asWiped(target: TargetRecord): TargetRecord {
  const isUnderWay =
    (target.state === 'Released' || target.state === 'Wiping') && target.task !== undefined && target.task.state !== 'failed';
  return isUnderWay ? { ...target, state: 'Available', claim: undefined, task: undefined } : target;
}

/** The time that a new volume waits for a target to be wiped rather than to be refused. */
export class Clearance {
  readonly #patience: AbortSignal;
  #end: AbortSignal | undefined;

  constructor(patience: AbortSignal) {
    this.#patience = patience;
  }

  /** Waits until it is worth looking again; false when there was enough of that. */
  async next(): Promise<boolean> {
    this.#end ??= AbortSignal.any([this.#patience, AbortSignal.timeout(CLEARANCE_MS)]);
    await sleep(LOOK_MS, undefined, { signal: this.#end }).catch(() => undefined);
    return !this.#end.aborted;
  }
}
