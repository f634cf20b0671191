import { AF_NETLINK, MSG_DONTWAIT, MSG_TRUNC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from './constants.ts';
import { EMSGSIZE, SystemError } from './errno.ts';
import { bindSocket, close, lastErrno, orNegativeErrno, orThrow, recvfrom, sendto, socket } from './libc.ts';
import { SOCKADDR_NL_BYTES, SOCKADDR_NL_FAMILY, SOCKADDR_NL_GROUPS, SOCKADDR_NL_PID } from './structs.ts';

/** More than the kernel puts into one datagram of a dump (32 KiB), or into one message of an event. */
const DATAGRAM_BYTES_MAX = 65_536;

/** A non-blocking conversation with the kernel over netlink. */
export class NetlinkSocket {
  readonly fd: number;
  readonly #datagram = Buffer.alloc(DATAGRAM_BYTES_MAX);
  readonly #sender = Buffer.alloc(SOCKADDR_NL_BYTES);
  readonly #senderLength = Buffer.alloc(4);

  /** `protocol` is NETLINK_ROUTE …; `groups` a mask of the events to join (RTMGRP_LINK …). Throws SystemError. */
  static open(protocol: number, groups: number, attempt: string): NetlinkSocket {
    const fd = orThrow(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), 'socket', attempt);
    const name = Buffer.alloc(SOCKADDR_NL_BYTES);
    name.writeUInt16LE(AF_NETLINK, SOCKADDR_NL_FAMILY);
    name.writeUInt32LE(groups, SOCKADDR_NL_GROUPS);
    if (bindSocket(fd, name, name.length) === 0) return new NetlinkSocket(fd);
    const errno = lastErrno();
    close(fd);
    throw new SystemError({ attempt, syscall: 'bind', errno });
  }

  /** Wraps a socket that `open` has made, for instance in another thread, which lets go of it. */
  constructor(fd: number) {
    this.fd = fd;
  }

  /** Sends a request to the kernel. Throws SystemError. */
  send(request: Buffer, attempt: string): void {
    const kernel = Buffer.alloc(SOCKADDR_NL_BYTES);
    kernel.writeUInt16LE(AF_NETLINK, SOCKADDR_NL_FAMILY);
    orThrow(sendto(this.fd, request, request.length, 0, kernel, kernel.length), 'sendto', attempt);
  }

  /**
   * The next datagram from the kernel, valid until the next call, or a negative errno: -EAGAIN when there is none, -ENOBUFS once
   * after some were lost, -EMSGSIZE for one that is too long. What another process has sent is empty.
   */
  receive(): Buffer | number {
    this.#senderLength.writeUInt32LE(SOCKADDR_NL_BYTES, 0);
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const received = orNegativeErrno(
      recvfrom(this.fd, this.#datagram, DATAGRAM_BYTES_MAX, flags, this.#sender, this.#senderLength),
    );
    if (received < 0) return received;
    if (received > DATAGRAM_BYTES_MAX) return -EMSGSIZE;
    const fromKernel = this.#sender.readUInt32LE(SOCKADDR_NL_PID) === 0;
    return this.#datagram.subarray(0, fromKernel ? received : 0);
  }

  close(): void {
    close(this.fd);
  }
}
