import { PR_GET_IO_FLUSHER, PR_SET_IO_FLUSHER } from './constants.ts';
import { orThrow, prctl } from './libc.ts';

/**
 * Whether this thread is an I/O flusher: one that block devices depend on, whose memory allocations therefore never wait for I/O to
 * such a device. Threads and processes that it starts are, too, and it stays one across execve. False where that can't be told.
 */
export function isIoFlusher(): boolean {
  return prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) === 1;
}

/** Makes this thread an I/O flusher, and all that it starts from now on. Throws SystemError. */
export function becomeIoFlusher(): void {
  orThrow(
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0),
    'prctl(PR_SET_IO_FLUSHER)',
    'keep memory allocations of this process from waiting for its own devices',
    { EPERM: 'give it the capability CAP_SYS_RESOURCE', EINVAL: 'that takes Linux 5.6 or newer' },
  );
}
