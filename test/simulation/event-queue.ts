/** What is going to happen: actions by time, in the order of their planning where times are equal. A binary heap. */
export class EventQueue {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #actions: (() => void)[] = [];
  #planned = 0;

  get length(): number {
    return this.#times.length;
  }

  /** When the next action is due; Infinity when nothing is planned. */
  get nextUs(): number {
    return this.#times.length === 0 ? Infinity : this.#times[0];
  }

  at(timeUs: number, action: () => void): void {
    const order = this.#planned++;
    let hole = this.#times.length;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.#times[parent] <= timeUs) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#put(hole, timeUs, order, action);
  }

  /** Takes the next action out. There must be one. */
  take(): () => void {
    const action = this.#actions[0];
    const last = this.#times.length - 1;
    const timeUs = this.#times[last];
    const order = this.#orders[last];
    const moved = this.#actions[last];
    this.#times.pop();
    this.#orders.pop();
    this.#actions.pop();
    if (last === 0) return action;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBefore(child + 1, this.#times[child], this.#orders[child])) child++;
      if (!this.#isBefore(child, timeUs, order)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#put(hole, timeUs, order, moved);
    return action;
  }

  #isBefore(index: number, timeUs: number, order: number): boolean {
    return this.#times[index] < timeUs || (this.#times[index] === timeUs && this.#orders[index] < order);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from], this.#orders[from], this.#actions[from]);
  }

  #put(index: number, timeUs: number, order: number, action: () => void): void {
    this.#times[index] = timeUs;
    this.#orders[index] = order;
    this.#actions[index] = action;
  }
}
