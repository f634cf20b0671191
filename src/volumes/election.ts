/**
 * Which of several processes does what has to be done without anybody calling. Nothing relies on there being only one: each write is
 * a compare-and-set. It saves the work of doing it twice.
 */
export interface Election {
  /** Whether it is this one, now. */
  readonly isElected: boolean;
  /** Calls back when that has changed. Returns how to stop. */
  watch(changed: () => void): () => void;
  /** Lets another one be elected at once. */
  stop(): Promise<void>;
}

/** Of a process that is alone, or does not mind. */
export const ALWAYS_ELECTED: Election = {
  isElected: true,
  watch: () => () => undefined,
  stop: async () => Promise.resolve(),
};
