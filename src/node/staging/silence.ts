import { isVolumeError } from '../../volumes/errors.ts';
import type { InitiatorClient } from '../initiator-client.ts';

/** How long a volume's I/O has been held without a break, because its target does not answer or answers otherwise than it should. */
export class Silence {
  readonly #initiator: InitiatorClient;
  readonly #address: string;
  readonly #deadAfterMs: number;
  #sinceMs: number | undefined;
  #found = '';

  constructor(initiator: InitiatorClient, address: string, deadAfterMs: number) {
    this.#initiator = initiator;
    this.#address = address;
    this.#deadAfterMs = deadAfterMs;
  }

  /** Looks anew. Whether it has lasted so long by now that waiting for its end is no use. */
  async isDead(): Promise<boolean> {
    this.#sinceMs = (await this.#isHeld()) ? (this.#sinceMs ?? performance.now()) : undefined;
    return this.#sinceMs !== undefined && performance.now() - this.#sinceMs >= this.#deadAfterMs;
  }

  /** What the initiator says, for messages. */
  get description(): string {
    return this.#found;
  }

  /** Begins anew: what was held has been failed. */
  end(): void {
    this.#sinceMs = undefined;
  }

  async #isHeld(): Promise<boolean> {
    try {
      const attachment = await this.#initiator.attachment(this.#address);
      if (attachment === undefined || attachment.state === 'up') return false;
      const { state, reason } = attachment;
      this.#found = reason === '' ? state : `${state} (${reason})`;
      return true;
    } catch (error) {
      if (isVolumeError(error)) return false;
      throw error;
    }
  }
}
