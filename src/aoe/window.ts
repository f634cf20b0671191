import { WINDOW_START } from './limits.ts';

/**
 * How many frames may be unanswered on one path: additive increase, multiplicative decrease, between 1 and `limit` (the target's
 * buffer count and the volume's maxOutstanding). A target drops silently what it can't buffer, so its buffer count is only a hint.
 */
export class Window {
  /** Frames allowed now. */
  size = WINDOW_START;
  #threshold = Infinity;
  #limit = WINDOW_START;
  #credit = 0;

  get limit(): number {
    return this.#limit;
  }

  setLimit(limit: number): void {
    this.#limit = limit < 1 ? 1 : limit;
    if (this.size > this.#limit) this.size = this.#limit;
  }

  answered(): void {
    if (this.size >= this.#limit) return;
    if (this.size < this.#threshold) {
      this.size++;
    } else if (++this.#credit >= this.size) {
      this.#credit = 0;
      this.size++;
    }
  }

  /** Single frames were lost: halve. Called once per window of frames. */
  lost(): void {
    this.#threshold = Math.max(this.size >> 1, 1);
    this.size = this.#threshold;
    this.#credit = 0;
  }

  /** Nothing comes back: one frame at a time, then quickly back to half of what it was. */
  timedOut(inFlight: number): void {
    this.#threshold = Math.max(Math.min(this.size, inFlight) >> 1, 2);
    this.size = 1;
    this.#credit = 0;
  }

  /** A path that was verified again after silence. */
  restart(): void {
    this.size = Math.min(WINDOW_START, this.#limit);
    this.#threshold = Infinity;
    this.#credit = 0;
  }
}
