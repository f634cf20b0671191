import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { EADDRINUSE, SystemError } from './errno.ts';
import { bindSocket, close, lastErrno, orThrow, socket } from './libc.ts';
import { abstractAddress } from './unix-address.ts';

/**
 * Claims `name` for this process within its network namespace, by binding it as an abstract unix socket: there is no file, and
 * the kernel takes the claim back when the process ends, however it ends. Returns the descriptor that holds the claim (close it
 * to give the name back), or undefined when another holds it. Throws SystemError.
 */
export function claimAbstractName(name: string): number | undefined {
  const attempt = `claim the name @${name} in this network namespace`;
  const address = abstractAddress(name, attempt);
  const fd = orThrow(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket', attempt);
  if (bindSocket(fd, address, address.length) === 0) return fd;
  const errno = lastErrno();
  close(fd);
  if (errno === EADDRINUSE) return undefined;
  throw new SystemError({ attempt, syscall: 'bind', errno });
}
