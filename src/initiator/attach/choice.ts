import { DeviceError, type AttachBackend, type BackendChoice } from './backend.ts';

export interface ChosenBackend {
  readonly backend: AttachBackend;
  /** Why this one, where somebody might wonder; else ''. */
  readonly note: string;
}

/** The ways to make devices here, and which of them a request means. */
export class Backends {
  /** In order of preference for `auto`. */
  readonly all: readonly AttachBackend[];
  /** How many of them `auto` still considers: none that comes after one that has been usable. */
  #considered: number;

  constructor(all: readonly AttachBackend[]) {
    this.all = all;
    this.#considered = all.length;
  }

  /**
   * The backend that a request means. Once `auto` has meant one it never means a lesser one: a passing trouble must not make a device
   * that ends with the initiator where others outlive it.
   * @throws DeviceError with what is missing: when the one that was asked for by name can't be used here, or none can
   */
  async choose(choice: BackendChoice): Promise<ChosenBackend> {
    return choice === 'auto' ? this.#best() : { backend: await this.#named(choice), note: '' };
  }

  async #named(choice: BackendChoice): Promise<AttachBackend> {
    const backend = this.all.find(({ name }) => name === choice);
    const obstacle = backend === undefined ? 'this initiator does not have it' : await backend.unavailable();
    if (backend !== undefined && obstacle === undefined) return backend;
    throw new DeviceError('refused', `backend ${choice} can't be used: ${String(obstacle)}`);
  }

  async #best(): Promise<ChosenBackend> {
    const obstacles: string[] = [];
    for (const [index, backend] of this.all.slice(0, this.#considered).entries()) {
      const obstacle = await backend.unavailable();
      if (obstacle === undefined) {
        this.#considered = Math.min(this.#considered, index + 1);
        return { backend, note: [`attach backend ${backend.name} was chosen`, ...obstacles].join('; ') };
      }
      obstacles.push(`${backend.name} can't be used: ${obstacle}`);
    }
    if (this.#considered === this.all.length) throw new DeviceError('refused', obstacles.join('; '));
    throw new DeviceError('unavailable', `${obstacles.join('; ')}; it could be used before, so no lesser backend is chosen`);
  }
}
