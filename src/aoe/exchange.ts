import { NO_COPY } from './copies.ts';

/** An IDENTIFY. */
export const EXCHANGE_IDENTIFY = 0;
/** A read of the first sectors, in a small or a full-size frame; its data goes nowhere. */
export const EXCHANGE_READ = 1;

/**
 * A question the engine asks on its own account, outside the windows: identity and probes. One copy after another until one is
 * answered; what the answer means, and when to ask again, is path-health.ts' business.
 */
export class Exchange {
  kind = EXCHANGE_IDENTIFY;
  sectors = 0;
  /** Copies out, newest first, linked through Copies. */
  copies = NO_COPY;
  attempts = 0;
  /** When to ask again; Infinity when nothing is asked. */
  dueUs = Infinity;

  get idle(): boolean {
    return this.dueUs === Infinity;
  }
}
