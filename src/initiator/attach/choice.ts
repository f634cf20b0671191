import { DeviceError, type AttachBackend, type BackendChoice } from './backend.ts';

export interface ChosenBackend {
  readonly backend: AttachBackend;
  /** Why this one, where somebody might wonder; else ''. */
  readonly note: string;
}

/**
 * The backend that a request means.
 * @param backends in order of preference for `auto`
 * @throws DeviceError with what is missing, when the one that was asked for by name can't be used here
 */
export async function chooseBackend(backends: readonly AttachBackend[], choice: BackendChoice): Promise<ChosenBackend> {
  if (choice !== 'auto') {
    const backend = backends.find(({ name }) => name === choice);
    const obstacle = backend === undefined ? 'this initiator does not have it' : await backend.unavailable();
    if (backend === undefined || obstacle !== undefined) {
      throw new DeviceError('refused', `backend ${choice} can't be used: ${String(obstacle)}`);
    }
    return { backend, note: '' };
  }
  const obstacles: string[] = [];
  for (const backend of backends) {
    const obstacle = await backend.unavailable();
    if (obstacle === undefined) {
      return { backend, note: [`attach backend ${backend.name} was chosen`, ...obstacles].join('; ') };
    }
    obstacles.push(`${backend.name} can't be used: ${obstacle}`);
  }
  throw new DeviceError('refused', obstacles.join('; '));
}
