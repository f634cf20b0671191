import { COPY_ZOMBIE, NO_COPY, type Copies } from './copies.ts';
import type { Target } from './target.ts';

/**
 * Copies of finished writes that nobody has answered. Such a frame may still sit in a switch or a target's queue, and when it runs
 * it rolls its sectors back to old data: AoE has no sequence numbers. So a newer write to the same sectors waits until the copy has
 * been answered or can't exist any more (`quarantineUs`).
 */
export class LateWrites {
  readonly #copies: Copies;
  readonly #quarantineUs: number;
  readonly #firstLba: Float64Array;
  readonly #endLba: Float64Array;
  readonly #untilUs: Float64Array;

  constructor(copies: Copies, quarantineUs: number) {
    this.#copies = copies;
    this.#quarantineUs = quarantineUs;
    this.#firstLba = new Float64Array(copies.capacity);
    this.#endLba = new Float64Array(copies.capacity);
    this.#untilUs = new Float64Array(copies.capacity);
  }

  /** Keeps an unanswered copy of a write to `sectors` from `lba`. The copy is in no other list. */
  add(target: Target, copy: number, lba: number, sectors: number, nowUs: number): void {
    const copies = this.#copies;
    copies.state[copy] = COPY_ZOMBIE;
    copies.fragment[copy] = undefined;
    this.#firstLba[copy] = lba;
    this.#endLba[copy] = lba + sectors;
    this.#untilUs[copy] = nowUs + this.#quarantineUs;
    copies.previous[copy] = target.lateTail;
    copies.next[copy] = NO_COPY;
    if (target.lateTail === NO_COPY) target.lateHead = copy;
    else copies.next[target.lateTail] = copy;
    target.lateTail = copy;
    target.lateCount++;
  }

  /** Forgets a copy: it was answered, so it has run. */
  answered(target: Target, copy: number): void {
    const copies = this.#copies;
    const next = copies.next[copy];
    const previous = copies.previous[copy];
    if (previous === NO_COPY) target.lateHead = next;
    else copies.next[previous] = next;
    if (next === NO_COPY) target.lateTail = previous;
    else copies.previous[next] = previous;
    copies.free(copy);
    target.lateCount--;
  }

  /** Forgets copies that are out of quarantine; answers whether there were any. */
  expire(target: Target, nowUs: number): boolean {
    const before = target.lateCount;
    while (target.lateHead !== NO_COPY && this.#untilUs[target.lateHead] <= nowUs) this.answered(target, target.lateHead);
    return target.lateCount !== before;
  }

  /** When the oldest copy leaves quarantine; Infinity when there is none. */
  nextUs(target: Target): number {
    return target.lateHead === NO_COPY ? Infinity : this.#untilUs[target.lateHead];
  }

  /** When the youngest copy leaves quarantine; 0 when there is none. */
  lastUs(target: Target): number {
    return target.lateTail === NO_COPY ? 0 : this.#untilUs[target.lateTail];
  }

  overlaps(target: Target, lba: number, sectors: number): boolean {
    for (let copy = target.lateHead; copy !== NO_COPY; copy = this.#copies.next[copy]) {
      if (lba < this.#endLba[copy] && this.#firstLba[copy] < lba + sectors) return true;
    }
    return false;
  }
}
