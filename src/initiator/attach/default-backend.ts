import { DeviceError, type BackendChoice, type BackendName } from './backend.ts';
import type { Backends } from './choice.ts';

/** What volumes become. */
export interface BackendReport {
  /** '' when the chosen one can't be used. */
  readonly backend: BackendName | '';
  /** Why that one, or why none; '' where nobody would wonder. */
  readonly backendNote: string;
}

/** Which backend volumes get that name none, for those who want to know before there is a volume. */
export class DefaultBackend {
  readonly #backends: Backends;
  readonly #choice: BackendChoice;
  #last: BackendReport | undefined;

  constructor(backends: Backends, choice: BackendChoice) {
    this.#backends = backends;
    this.#choice = choice;
  }

  /** As it is now. One that makes devices is not looked at again, which would take programs and calls of the kernel. */
  async report(): Promise<BackendReport> {
    if (this.#last === undefined || this.#last.backend === '' || this.#last.backend === 'nbd-socket')
      this.#last = await this.#look();
    return this.#last;
  }

  async #look(): Promise<BackendReport> {
    try {
      const { backend, note } = await this.#backends.choose(this.#choice);
      return { backend: backend.name, backendNote: note };
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      return { backend: '', backendNote: error.message };
    }
  }
}
