import { EAGAIN, EMSGSIZE, ENOBUFS, ENOENT, EPROTO, SystemError, type Advice } from './errno.ts';
import { decodeGenericMessages, type Family } from './generic-netlink-codec.ts';
import { GenericNetlinkSocket } from './generic-netlink-socket.ts';
import {
  connectRequest,
  decodeIndex,
  disconnectRequest,
  NBD_FAMILY,
  NBD_GROUP,
  reconfigureRequest,
  type NbdConnect,
  type NbdReconfigure,
} from './nbd-netlink-codec.ts';
import {
  NBD_ATTR_BACKEND_IDENTIFIER,
  NBD_CMD_CONNECT,
  NBD_CMD_DISCONNECT,
  NBD_CMD_LINK_DEAD,
  NBD_CMD_RECONFIGURE,
} from './nbd-netlink-constants.ts';
import { nbdCommandName } from './nbd-netlink-names.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Datagrams that one `read` takes before it lets others of the loop have their turn. */
const DATAGRAMS_PER_READ_MAX = 64;

const ADVICE: Advice = {
  EPERM: 'run as root with CAP_SYS_ADMIN, outside of user namespaces',
  EBUSY: 'somebody else has taken the device: try again',
  ENODEV: 'the device is being removed: try again',
};

/**
 * The kernel's NBD driver: makes block devices whose requests travel over a socket of ours, and changes them (linux/nbd-netlink.h).
 * Every method may take for ever: see GenericNetlinkSocket. Sockets are looked up among the descriptors of this process.
 */
export class NbdControl {
  readonly #socket: GenericNetlinkSocket;

  /** Throws SystemError. */
  static open(): NbdControl {
    return new NbdControl(GenericNetlinkSocket.open());
  }

  private constructor(socket: GenericNetlinkSocket) {
    this.#socket = socket;
  }

  /** The driver's family; undefined where the driver is not loaded, or can't be seen from this network namespace. Throws SystemError. */
  family(): Family | undefined {
    return this.#socket.family(NBD_FAMILY);
  }

  /** Makes a device and returns its index N of /dev/nbdN. Requests for it may come before this returns. Throws SystemError. */
  connect(device: NbdConnect): number {
    const attempt = `make an NBD device for ${device.identifier}`;
    const { id } = this.#family(attempt);
    const purpose = { attempt, command: nbdCommandName(NBD_CMD_CONNECT), advice: ADVICE };
    for (const answer of this.#socket.request(connectRequest(id, device), purpose)) {
      const index = decodeIndex(answer, id, NBD_CMD_CONNECT);
      if (index !== undefined) return index;
    }
    throw new SystemError({ attempt, syscall: purpose.command, errno: EPROTO });
  }

  /**
   * Changes a device. Success does not mean that a new socket was taken: it is ignored while the kernel has not noticed that the old
   * one is dead. Throws SystemError: EINVAL when the device is not connected, or has another identifier.
   */
  reconfigure(change: NbdReconfigure): void {
    const attempt = `change the device /dev/nbd${change.index} of ${change.identifier}`;
    const purpose = { attempt, command: nbdCommandName(NBD_CMD_RECONFIGURE), advice: ADVICE };
    this.#socket.request(reconfigureRequest(this.#family(attempt).id, change), purpose);
  }

  /** Ends a device at once, whoever uses it. One that is not connected is no error. Throws SystemError. */
  disconnect(index: number): void {
    const attempt = `end the device /dev/nbd${index}`;
    const purpose = { attempt, command: nbdCommandName(NBD_CMD_DISCONNECT), advice: ADVICE };
    this.#socket.request(disconnectRequest(this.#family(attempt).id, index), purpose);
  }

  /** A descriptor for NbdLinkMonitor, which may live in another thread. Throws SystemError. */
  openMonitor(): number {
    const group = this.#family('watch NBD devices').groups.get(NBD_GROUP);
    const socket = GenericNetlinkSocket.open();
    if (group !== undefined) socket.join(group);
    return socket.fd;
  }

  close(): void {
    this.#socket.close();
  }

  #family(attempt: string): Family {
    const family = this.family();
    if (family !== undefined) return family;
    const advice = 'load the driver, modprobe nbd max_part=0 nbds_max=0, and run in the network namespace of the host';
    throw new SystemError({ attempt, syscall: 'CTRL_CMD_GETFAMILY', errno: ENOENT, advice });
  }
}

/** Whether the driver knows identifiers, without which a device can't be told from another one at its index (Linux 5.14). */
export function hasIdentifiers(family: Family): boolean {
  return family.attributesMax >= NBD_ATTR_BACKEND_IDENTIFIER;
}

/** Tells of devices whose socket has died. It only makes a new connection come sooner: what the kernel does not tell, the socket does. */
export class NbdLinkMonitor {
  readonly #socket: NetlinkSocket;

  /** @param fd of NbdControl.openMonitor */
  constructor(fd: number) {
    this.#socket = new NetlinkSocket(fd);
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** Indexes of devices whose socket has died since the last call. Does not wait. Throws SystemError on a broken socket. */
  read(): number[] {
    const indexes: number[] = [];
    for (let taken = 0; taken < DATAGRAMS_PER_READ_MAX; taken++) {
      const datagram = this.#socket.receive();
      if (datagram === -EAGAIN) break;
      if (datagram === -ENOBUFS || datagram === -EMSGSIZE) continue;
      if (typeof datagram === 'number') {
        throw new SystemError({ attempt: 'watch NBD devices', syscall: 'recvfrom', errno: -datagram });
      }
      for (const message of decodeGenericMessages(datagram)) {
        const index = message.type === 'message' ? decodeIndex(message, message.family, NBD_CMD_LINK_DEAD) : undefined;
        if (index !== undefined) indexes.push(index);
      }
    }
    return indexes;
  }

  close(): void {
    this.#socket.close();
  }
}
