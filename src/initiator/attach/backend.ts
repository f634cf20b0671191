/** What a volume looks like to a backend: an NBD server on a unix socket, which serves this one volume. */
export interface ServedVolume {
  /** `e10.3`; also the name of the export. */
  readonly name: string;
  readonly socketPath: string;
  readonly readOnly: boolean;
  readonly sectors: number;
}

/** A way to make a served volume usable on this machine. */
export interface AttachBackend {
  readonly name: BackendName;

  /** Undefined where this machine has what it takes; else what is missing and what to do. */
  unavailable(): string | undefined;

  /** Makes the device and returns its path. Leaves nothing behind when it fails. @throws DeviceError, ProgramError, or the signal's reason */
  attach(volume: ServedVolume, signal: AbortSignal): Promise<string>;

  /**
   * Takes the device away.
   * @param force also from under those who use it; their I/O has been failed by then
   * @throws DeviceError `busy` when it is in use: then nothing has changed
   */
  detach(volume: ServedVolume, device: string, force: boolean): Promise<void>;

  /** Removes what an initiator that was killed has left. Returns what it did, and what it could not do, a sentence each. */
  removeLeftovers(): Promise<readonly string[]>;
}

/** As `--attach` takes them. The kernel's own NBD driver will be another. */
export const BACKEND_NAMES = ['nbd-socket', 'fuse'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** `auto`: a block device where this machine can make one, else the socket. */
export const BACKEND_CHOICES = ['auto', ...BACKEND_NAMES] as const;
export type BackendChoice = (typeof BACKEND_CHOICES)[number];

export function isBackendChoice(text: string): text is BackendChoice {
  return (BACKEND_CHOICES as readonly string[]).includes(text);
}

/** Why a device could not be made or taken away. The message says what to do. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly code: 'busy' | 'refused' | 'unavailable';

  constructor(code: 'busy' | 'refused' | 'unavailable', message: string) {
    super(message);
    this.code = code;
  }
}
