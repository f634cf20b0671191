import { closeSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  AF_UNIX,
  F_DUPFD_CLOEXEC,
  LOCK_EX,
  LOCK_NB,
  SHUT_RDWR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from './constants.ts';
import { EADDRINUSE, EAGAIN, ECONNREFUSED, EEXIST, ENOENT, SystemError, errnoName } from './errno.ts';
import {
  accept4,
  bindSocket,
  chmod,
  close,
  connect,
  fcntl,
  flock,
  lastErrno,
  listen,
  orNegativeErrno,
  orThrow,
  socket,
  shutdown,
  socketpair,
} from './libc.ts';
import { pathAddress } from './unix-address.ts';

const FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
const STREAM = SOCK_STREAM | FLAGS;
/** How long to wait for another process that is setting up a socket in the same directory: it needs well under a millisecond. */
const SETUP_TRIES_MAX = 100;
const SETUP_RETRY_MS = 10;

export interface ListenOptions {
  /** Connections that may wait to be accepted. */
  readonly backlog: number;
  /** Permissions of the socket file; who may write to it may connect. */
  readonly mode: number;
  readonly kind?: SocketKind;
}

/** A stream of bytes, as it is unless told otherwise, or one of messages that arrive whole and in order. */
export type SocketKind = 'stream' | 'messages';

/**
 * Listens on a unix socket at `path` and returns its non-blocking descriptor. A socket file that nobody serves is
 * replaced. Throws SystemError: EADDRINUSE when a live server answers there, EEXIST when something else than a socket is there.
 *
 * A lock on the directory makes look, replace and listen one step: of two processes started together, one wins and the other
 * is refused; neither removes the other's socket.
 */
export function listenUnix(path: string, options: ListenOptions): number {
  const attempt = `listen on unix socket ${path}`;
  const address = pathAddress(path, attempt);
  const directory = lockDirectory(dirname(path), attempt);
  try {
    makeRoom(path, attempt);
    const fd = orThrow(socket(AF_UNIX, typeOf(options.kind), 0), 'socket', attempt);
    try {
      orThrow(bindSocket(fd, address, address.length), 'bind', attempt, {
        EACCES: 'give this user write permission on the directory',
        EROFS: 'choose a directory on a writable file system',
      });
      // Nobody can connect before listen: at no moment is the socket open to more than `mode` says.
      orThrow(chmod(path, options.mode), 'chmod', attempt);
      orThrow(listen(fd, options.backlog), 'listen', attempt);
      return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
  } finally {
    closeSync(directory);
  }
}

/** The next waiting connection as a non-blocking descriptor, or a negative errno (-EAGAIN: none; -EMFILE: too many open). */
export function acceptUnix(listener: number): number {
  return orNegativeErrno(accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/** Connects to the server at `path` and returns a non-blocking descriptor. Throws SystemError. */
export function connectUnix(path: string, kind?: SocketKind): number {
  const attempt = `connect to unix socket ${path}`;
  const address = pathAddress(path, attempt);
  const fd = orThrow(socket(AF_UNIX, typeOf(kind), 0), 'socket', attempt);
  if (connect(fd, address, address.length) === 0) return fd;
  const errno = lastErrno();
  close(fd);
  throw new SystemError({
    attempt,
    syscall: 'connect',
    errno,
    advice: {
      ENOENT: 'start the server, or check the path',
      ECONNREFUSED: 'start the server: the one that made this socket has ended',
      EACCES: 'run as a user who may write to the socket',
      EAGAIN: 'try again: too many connections are waiting there',
    },
  });
}

/** Two connected, non-blocking stream sockets. Throws SystemError. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  orThrow(socketpair(AF_UNIX, STREAM, 0, pair), 'socketpair', 'make a pair of unix sockets');
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** Ends a connection in both directions for its peer, whoever else has a copy of the descriptor. Well when it has ended already. */
export function hangUp(fd: number): void {
  shutdown(fd, SHUT_RDWR);
}

/** Another descriptor of the same socket. Throws SystemError (EMFILE). */
export function duplicate(fd: number): number {
  return orThrow(fcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl', `duplicate descriptor ${fd}`);
}

/** Closes a descriptor. Closing one twice is a bug that can hit somebody else's: throws SystemError EBADF. */
export function closeFd(fd: number): void {
  orThrow(close(fd), 'close', `close descriptor ${fd}`);
}

function typeOf(kind: SocketKind | undefined): number {
  return kind === 'messages' ? SOCK_SEQPACKET | FLAGS : STREAM;
}

/** Removes a stale socket file. Throws when the path is taken. */
function makeRoom(path: string, attempt: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    const advice = 'something else than a socket is there: move it away, or choose another path';
    throw new SystemError({ attempt, syscall: 'bind', errno: EEXIST, advice });
  }
  if (isServed(path)) {
    const advice = 'another process serves this socket: stop it, or choose another path';
    throw new SystemError({ attempt, syscall: 'bind', errno: EADDRINUSE, advice });
  }
  unlinkSync(path);
}

function isServed(path: string): boolean {
  try {
    close(connectUnix(path));
    return true;
  } catch (error) {
    // Told apart by code. Any other failure (EACCES, a full backlog) still means that somebody may be there.
    const code = (error as SystemError).code;
    return code !== errnoName(ECONNREFUSED) && code !== errnoName(ENOENT);
  }
}

function lockDirectory(directory: string, attempt: string): number {
  const fd = openSync(directory, 'r');
  for (let tries = 1; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
    if (lastErrno() !== EAGAIN || tries === SETUP_TRIES_MAX) {
      const errno = lastErrno();
      closeSync(fd);
      const advice = { EAGAIN: `another process holds a lock on ${directory}: see who with lslocks` };
      throw new SystemError({ attempt, syscall: 'flock', errno, advice });
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETUP_RETRY_MS);
  }
  return fd;
}
