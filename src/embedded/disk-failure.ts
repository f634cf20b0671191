import { errnoName } from '../system/errno.ts';
import { VolumeError } from '../volumes/errors.ts';
import type { DurableFileError } from '../system/durable-file.ts';

/** What a person does about the errors of a disk, by the system's name for them. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room',
  EDQUOT: 'the quota is used up: make room',
  EROFS: 'the file system is read-only: find out why, the kernel’s log may know',
  EACCES: 'check whose files these are',
  EPERM: 'check whose files these are',
  ENOENT: 'a folder of the store is gone: restore it',
};
const ADVICE_OTHERWISE = 'look for disk errors in the kernel’s log';

/** @param what e.g. `the record e10.3, <path>` */
export function readFailure(what: string, error: unknown): VolumeError {
  const code = systemNameOf(error);
  return new VolumeError('unavailable', `cannot read ${what}: ${code}; ${ADVICE[code] ?? ADVICE_OTHERWISE}, then call again`);
}

/** @param attempted e.g. `write the record e10.3, <path>`, by a function of durable-file.ts */
export function writeFailure(attempted: string, error: unknown): VolumeError {
  const code = systemNameOf(error);
  const { isVisible = false } = error as Partial<DurableFileError>;
  const state = isVisible ? 'it is done, but a power failure may undo it' : 'nothing was changed';
  return new VolumeError(
    'unavailable',
    `cannot ${attempted}: ${code}; ${state}; ${ADVICE[code] ?? ADVICE_OTHERWISE}, then call again`,
  );
}

/** The kernel's name for what happened, e.g. `ENOSPC`. Node has no name for some of them, such as EDQUOT. */
export function systemNameOf(error: unknown): string {
  const { errno, code } = error as { errno?: number; code?: string };
  return errno === undefined ? (code ?? 'unknown error') : errnoName(errno);
}
