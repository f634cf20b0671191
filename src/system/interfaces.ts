import { NETLINK_ROUTE, RTMGRP_LINK } from './constants.ts';
import { EAGAIN, EBUSY, EMSGSIZE, ENOBUFS, SystemError } from './errno.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { decodeLinkMessages, encodeLinkDump, type InterfaceInfo } from './rtnetlink.ts';

export type { InterfaceInfo } from './rtnetlink.ts';

/** Something has happened to an interface. */
export type InterfaceChange =
  /** It is new, or something about it has changed, which may be nothing of interest. */
  | { readonly type: 'changed'; readonly link: InterfaceInfo }
  | { readonly type: 'deleted'; readonly index: number; readonly name: string }
  /** Events were lost: compare with a fresh `listInterfaces`. */
  | { readonly type: 'resync' };

/** A dump during which the table changed is repeated, so often. */
const DUMP_TRIES_MAX = 10;
/** Datagrams that one `read` takes before it lets others of the loop have their turn. */
const DATAGRAMS_PER_READ_MAX = 64;

/** All interfaces of this network namespace, by rtnetlink (in a container, /sys may show those of another one). Throws SystemError. */
export function listInterfaces(): InterfaceInfo[] {
  const attempt = 'list the network interfaces';
  const socket = NetlinkSocket.open(NETLINK_ROUTE, 0, attempt);
  try {
    for (let sequence = 1; sequence <= DUMP_TRIES_MAX; sequence++) {
      socket.send(encodeLinkDump(sequence), attempt);
      const interfaces = receiveDump(socket, attempt);
      if (interfaces !== undefined) return interfaces;
    }
  } finally {
    socket.close();
  }
  const advice = 'interfaces come and go too fast here: try again';
  throw new SystemError({ attempt, syscall: 'recvfrom', errno: EBUSY, advice });
}

/** Reads a dump to its end; undefined when the table changed meanwhile. */
function receiveDump(socket: NetlinkSocket, attempt: string): InterfaceInfo[] | undefined {
  const interfaces: InterfaceInfo[] = [];
  let interrupted = false;
  for (;;) {
    // The kernel writes a dump's next part while the last one is read, so that waiting is never needed.
    const datagram = socket.receive();
    if (typeof datagram === 'number') throw new SystemError({ attempt, syscall: 'recvfrom', errno: -datagram });
    for (const message of decodeLinkMessages(datagram)) {
      if (message.type === 'error') throw new SystemError({ attempt, syscall: 'RTM_GETLINK', errno: message.errno });
      if (message.type === 'deleted') continue;
      interrupted ||= message.interrupted;
      if (message.type === 'done') return interrupted ? undefined : interfaces;
      interfaces.push(message.link);
    }
  }
}

/** Tells of interfaces that come, go and change. Open it first, then list them: nothing falls between. */
export class InterfaceMonitor {
  readonly #socket: NetlinkSocket;

  /** Throws SystemError. */
  static open(): InterfaceMonitor {
    return new InterfaceMonitor(NetlinkSocket.open(NETLINK_ROUTE, RTMGRP_LINK, 'watch the network interfaces'));
  }

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Readable (EPOLLIN or EPOLLERR) when `read` has something to tell. */
  get fd(): number {
    return this.#socket.fd;
  }

  /** What has happened since the last call, in order; empty when nothing has. Does not wait. Throws SystemError on a broken socket. */
  read(): InterfaceChange[] {
    const changes: InterfaceChange[] = [];
    for (let taken = 0; taken < DATAGRAMS_PER_READ_MAX; taken++) {
      const datagram = this.#socket.receive();
      if (datagram === -EAGAIN) break;
      if (datagram === -ENOBUFS || datagram === -EMSGSIZE) changes.push({ type: 'resync' });
      else if (typeof datagram === 'number') {
        throw new SystemError({ attempt: 'watch the network interfaces', syscall: 'recvfrom', errno: -datagram });
      } else collect(datagram, changes);
    }
    return changes;
  }

  close(): void {
    this.#socket.close();
  }
}

function collect(datagram: Buffer, changes: InterfaceChange[]): void {
  for (const message of decodeLinkMessages(datagram)) {
    if (message.type === 'link') changes.push({ type: 'changed', link: message.link });
    else if (message.type === 'deleted') changes.push(message);
  }
}
