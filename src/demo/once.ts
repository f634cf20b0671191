/** Something that happens in the middle of something else, once, however often it is asked for. */
export class Once {
  readonly #work: () => Promise<void>;
  readonly #failed: (reason: unknown) => void;
  #running: Promise<void> | undefined;

  /** @param failed told when it fails: whoever has started it does not wait for it */
  constructor(work: () => Promise<void>, failed: (reason: unknown) => void) {
    this.#work = work;
    this.#failed = failed;
  }

  begin(): void {
    if (this.#running !== undefined) return;
    this.#running = this.#work();
    this.#running.catch(this.#failed);
  }

  /** Waits for its end; begins it if nobody has. */
  async done(): Promise<void> {
    this.begin();
    await this.#running;
  }
}
