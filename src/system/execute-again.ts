import { FD_CLOEXEC, F_SETFD } from './constants.ts';
import { execve, fcntl, lastErrno } from './libc.ts';
import { SystemError } from './errno.ts';

/** The program that runs, also where its file has been replaced or removed since. */
const THIS_PROGRAM = '/proc/self/exe';
const STANDARD_STREAMS = [0, 1, 2];

/**
 * Starts this program anew in this very process: same number, parent, terminal and standard streams, same arguments and
 * environment. Every other descriptor is closed. Does not return.
 *
 * Not by `process.execve`, which ends the process where it fails.
 *
 * @param program for tests
 * @throws SystemError; then nothing has changed
 */
export function executeAgain(program = THIS_PROGRAM): never {
  const args = [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  // Node has marked all descriptors that it was given, so that no child gets them by mistake.
  for (const fd of STANDARD_STREAMS) fcntl(fd, F_SETFD, 0);
  execve(program, [...args, null], [...environment, null]);
  const errno = lastErrno();
  for (const fd of STANDARD_STREAMS) fcntl(fd, F_SETFD, FD_CLOEXEC);
  throw new SystemError({ attempt: `start ${program} anew in this process`, syscall: 'execve', errno });
}
