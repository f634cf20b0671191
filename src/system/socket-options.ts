import { SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF, SO_SNDBUFFORCE, SOL_SOCKET } from './constants.ts';
import { getsockopt, orThrow, setsockopt } from './libc.ts';

/** Sets an `int` option. Throws SystemError. */
export function setIntOption(fd: number, level: number, option: number, value: number, attempt: string): void {
  orThrow(setsockopt(fd, level, option, intBytes(value), 4), 'setsockopt', attempt);
}

/** Reads an `int` option. Throws SystemError. */
export function getIntOption(fd: number, level: number, option: number, attempt: string): number {
  const value = Buffer.alloc(4);
  orThrow(getsockopt(fd, level, option, value, intBytes(4)), 'getsockopt', attempt);
  return value.readInt32LE(0);
}

/** Sets how many bytes may wait to be sent, and returns what the kernel granted (see `setReceiveBuffer`). */
export function setSendBuffer(fd: number, sizeBytes: number): number {
  return setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, sizeBytes, 'send');
}

/**
 * Sets how many bytes may wait to be received: past the system's limit with CAP_NET_ADMIN, else up to `net.core.rmem_max`.
 * Returns what the kernel granted, which is twice the request when it was granted: it books its own overhead there.
 */
export function setReceiveBuffer(fd: number, sizeBytes: number): number {
  return setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, sizeBytes, 'receive');
}

function setBuffer(fd: number, forced: number, limited: number, sizeBytes: number, which: string): number {
  const attempt = `set the ${which} buffer of socket ${fd} to ${sizeBytes} bytes`;
  if (setsockopt(fd, SOL_SOCKET, forced, intBytes(sizeBytes), 4) < 0) {
    setIntOption(fd, SOL_SOCKET, limited, sizeBytes, attempt);
  }
  return getIntOption(fd, SOL_SOCKET, limited, attempt);
}

function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  return bytes;
}
