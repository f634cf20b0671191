import type { AttachBackend, ServedVolume } from './backend.ts';

/** The volume's NBD server is the device: for clients that speak NBD themselves (qemu, nbdcopy, fio, libnbd). Needs nothing. */
export class NbdSocketBackend implements AttachBackend {
  readonly name = 'nbd-socket';

  async unavailable(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async attach({ request: { socketPath } }: ServedVolume): Promise<string> {
    return Promise.resolve(socketPath);
  }

  /** Who uses the socket is known to the server itself: there is nothing to check or to undo here. */
  async detach(): Promise<void> {
    return Promise.resolve();
  }

  async removeLeftovers(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }
}
