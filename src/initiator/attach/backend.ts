import type { AttachRequest } from '../messages.ts';

/** What a volume looks like to a backend: an NBD server on a unix socket, which serves this one volume. */
export interface ServedVolume {
  /** `e10.3`; also the name of the export. */
  readonly name: string;
  /** How it was attached, and where its server listens. */
  readonly request: AttachRequest;
  readonly sectors: number;
  /** The disk that it is. */
  readonly serial: string;
  readonly model: string;
}

/** A way to make a served volume usable on this machine. */
export interface AttachBackend {
  readonly name: BackendName;

  /** Undefined where this machine has what it takes; else what is missing and what to do. */
  unavailable(): Promise<string | undefined>;

  /** Makes the device and returns its path. Leaves nothing behind when it fails. @throws DeviceError, ProgramError, or the signal's reason */
  attach(volume: ServedVolume, signal: AbortSignal): Promise<string>;

  /**
   * Takes the device away.
   * @param force also from under those who use it; their I/O has been failed by then
   * @throws DeviceError `busy` when it is in use: then nothing has changed
   */
  detach(volume: ServedVolume, device: string, force: boolean): Promise<void>;

  /** Removes what an initiator that was killed has left: no process of it lives any more. Returns what it did, and what it could not do, a sentence each. */
  removeLeftovers(): Promise<readonly string[]>;

  /** Where its devices go on without the initiator, holding their I/O, until the next one takes them up. */
  readonly lasting?: LastingDevices;
}

/** Devices that outlive the initiator that made them. */
export interface LastingDevices {
  /** Those of an earlier initiator, as `removeLeftovers` has found them: their volumes, as they were attached, and their paths. */
  survivors(): readonly Survivor[];

  /**
   * Takes a survivor up again, whose volume is served now. Goes on by itself, for as long as it takes.
   * @param isSettled false: its target is silent, and its I/O fails. It may yet work elsewhere
   */
  resume(survivor: Survivor, isSettled: boolean): void;

  /** The device will be taken away from its users: nobody misses its volume from now on. */
  abandon(name: string): void;

  /** The volume's settings have been changed: a later initiator shall have them, too. */
  remember(name: string, request: AttachRequest): Promise<void>;

  /** Lets the device have all of its volume, which has grown, while it is used. @throws DeviceError */
  grow(name: string, sectors: number): Promise<void>;

  /** Why the device waits for us; '' when it does not. */
  trouble(name: string): string;

  /** The device can't be used any more: its users must end, and it must be detached. */
  isLost(name: string): boolean;
}

export interface Survivor {
  readonly volume: ServedVolume;
  readonly device: string;
}

/** As `--attach` takes them. */
export const BACKEND_NAMES = ['nbd', 'fuse', 'nbd-socket'] as const;
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
