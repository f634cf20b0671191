import { STANDING_PROVEN } from './path.ts';
import type { PathHealth } from './path-health.ts';
import type { Target } from './target.ts';

interface Pending {
  readonly target: Target;
  readonly deadlineUs: number;
  readonly done: (answered: boolean) => void;
  /** When a question was asked that this one can be answered by; Infinity before that. */
  askedUs: number;
}

/**
 * Has volumes' targets say anew who they are and how large, for those who can't wait until they are asked again anyway. An answer to a
 * question that was under way before may have been given before, too: it does not count.
 */
export class FreshIdentity {
  readonly #health: PathHealth;
  readonly #pending: Pending[] = [];

  constructor(health: PathHealth) {
    this.#health = health;
  }

  /** `done` is called once, never from within: with true when the target has answered as the disk that it was, else at the deadline. */
  ask(target: Target, deadlineUs: number, done: (answered: boolean) => void): void {
    this.#pending.push({ target, deadlineUs, done, askedUs: Infinity });
  }

  tick(nowUs: number): void {
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const pending = this.#pending[index];
      const answered = pending.target.identifiedUs > pending.askedUs;
      if (answered || pending.deadlineUs <= nowUs) {
        this.#pending.splice(index, 1);
        pending.done(answered);
      } else if (pending.askedUs === Infinity) {
        this.#ask(pending, nowUs);
      }
    }
  }

  nextUs(): number {
    let next = Infinity;
    for (const { deadlineUs } of this.#pending) if (deadlineUs < next) next = deadlineUs;
    return next;
  }

  /** Whatever else is under way to this target ends first: its answer is where this goes on. */
  #ask(pending: Pending, nowUs: number): void {
    const { owner, paths } = pending.target;
    const able = paths.filter(({ mac, port, standing }) => mac === owner && port.up && standing === STANDING_PROVEN);
    if (able.length === 0 || able.some(({ identify }) => !identify.idle)) return;
    for (const path of able) this.#health.askAgain(path, nowUs);
    pending.askedUs = nowUs;
  }
}
