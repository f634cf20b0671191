import { ETHERTYPE_AOE } from '../aoe/constants.ts';
import {
  AF_PACKET,
  MSG_DONTWAIT,
  PACKET_IGNORE_OUTGOING,
  PACKET_STATISTICS,
  SO_ATTACH_FILTER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
} from './constants.ts';
import {
  addressOf,
  bindSocket,
  close,
  getsockopt,
  orNegativeErrno,
  orThrow,
  recvmmsg,
  sendmmsg,
  setsockopt,
  socket,
} from './libc.ts';
import type { MessageBatch } from './message-batch.ts';
import { encodeFilter, type FilterProgram } from './packet-filter.ts';
import { setIntOption, setReceiveBuffer, setSendBuffer } from './socket-options.ts';
import {
  SOCK_FPROG_BYTES,
  SOCK_FPROG_FILTER,
  SOCK_FPROG_LEN,
  SOCKADDR_LL_BYTES,
  SOCKADDR_LL_FAMILY,
  SOCKADDR_LL_IFINDEX,
  SOCKADDR_LL_PROTOCOL,
  TPACKET_STATS_BYTES,
  TPACKET_STATS_DROPS,
  TPACKET_STATS_PACKETS,
} from './structs.ts';

export interface PacketSocketOptions {
  readonly interfaceIndex: number;
  /** Wanted size of the kernel's buffers. What was got is in `receiveBufferBytes` and `sendBufferBytes`. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** Decides which frames wake this process (packet-filter.ts). */
  readonly filter: FilterProgram;
}

/** Since the last time they were asked for. */
export interface PacketStatistics {
  /** Frames that passed the filter, the dropped ones included. */
  readonly received: number;
  /** Frames lost because the receive buffer was full. */
  readonly dropped: number;
}

const OPEN_ADVICE = {
  EPERM: 'run as root, or give the process CAP_NET_RAW in this network namespace',
  EACCES: 'run as root, or give the process CAP_NET_RAW in this network namespace',
  EAFNOSUPPORT: 'load the kernel module af_packet',
  ENODEV: 'the interface has gone: look its index up again by name',
  ENXIO: 'the interface has gone: look its index up again by name',
};

/**
 * A socket for raw AoE frames on one interface: it sends whole Ethernet frames and receives those that its filter lets pass.
 * It outlives its interface going down and up again (one ENETDOWN is reported), not its deletion (ENXIO from then on).
 */
export class PacketSocket {
  readonly fd: number;
  readonly interfaceIndex: number;
  /** Bytes that the kernel granted. It charges a frame's whole buffer to them, not only its bytes. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;

  /**
   * Opens a socket that never sees a frame which its filter refuses: it has protocol 0 (no frames at all) until the filter
   * stands, and takes EtherType and interface last, in one step. An interface that is down will do: the first `receive` says
   * -ENETDOWN. Throws SystemError.
   */
  static open(options: PacketSocketOptions): PacketSocket {
    const attempt = `open an AoE packet socket on interface ${options.interfaceIndex}`;
    const fd = orThrow(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket', attempt, OPEN_ADVICE);
    try {
      attachFilter(fd, options.filter, attempt);
      setIntOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, attempt);
      const receiveBufferBytes = setReceiveBuffer(fd, options.receiveBufferBytes);
      const sendBufferBytes = setSendBuffer(fd, options.sendBufferBytes);
      const name = linkLayerAddress(options.interfaceIndex);
      orThrow(bindSocket(fd, name, name.length), 'bind', attempt, OPEN_ADVICE);
      return new PacketSocket(fd, options.interfaceIndex, receiveBufferBytes, sendBufferBytes);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  private constructor(fd: number, interfaceIndex: number, receiveBufferBytes: number, sendBufferBytes: number) {
    this.fd = fd;
    this.interfaceIndex = interfaceIndex;
    this.receiveBufferBytes = receiveBufferBytes;
    this.sendBufferBytes = sendBufferBytes;
  }

  /**
   * Receives up to `count` frames into the messages from `first` on, without waiting. Returns how many, or a negative errno:
   * -EAGAIN when there is none, -ENETDOWN once after the interface went down or away.
   */
  receive(batch: MessageBatch, first: number, count: number): number {
    return orNegativeErrno(recvmmsg(this.fd, batch.addressOf(first), count, MSG_DONTWAIT, 0));
  }

  /**
   * Sends the messages from `first` on, one frame each, without waiting. Returns how many of them went out before the first
   * that failed, or that one's negative errno when it was the first: -EAGAIN and -ENOBUFS for a full queue, -EMSGSIZE for a
   * frame longer than the MTU, -ENETDOWN and -ENXIO for an interface that is down or gone.
   */
  send(batch: MessageBatch, first: number, count: number): number {
    return orNegativeErrno(sendmmsg(this.fd, batch.addressOf(first), count, MSG_DONTWAIT));
  }

  /** Counts of the kernel since the last call. Throws SystemError (EBADF after `close`). */
  statistics(): PacketStatistics {
    const value = Buffer.alloc(TPACKET_STATS_BYTES);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(TPACKET_STATS_BYTES, 0);
    orThrow(
      getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, value, length),
      'getsockopt',
      `read the drop count of the packet socket on interface ${this.interfaceIndex}`,
    );
    return { received: value.readUInt32LE(TPACKET_STATS_PACKETS), dropped: value.readUInt32LE(TPACKET_STATS_DROPS) };
  }

  close(): void {
    close(this.fd);
  }
}

/** The program's header and its instructions stand in one Buffer, so that both live through the call. */
function attachFilter(fd: number, filter: FilterProgram, attempt: string): void {
  const program = Buffer.concat([Buffer.alloc(SOCK_FPROG_BYTES), encodeFilter(filter)]);
  program.writeUInt16LE(filter.length, SOCK_FPROG_LEN);
  program.writeBigUInt64LE(BigInt(addressOf(program) + SOCK_FPROG_BYTES), SOCK_FPROG_FILTER);
  orThrow(
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, SOCK_FPROG_BYTES),
    'setsockopt',
    `${attempt}: attach its frame filter`,
  );
}

function linkLayerAddress(interfaceIndex: number): Buffer {
  const name = Buffer.alloc(SOCKADDR_LL_BYTES);
  name.writeUInt16LE(AF_PACKET, SOCKADDR_LL_FAMILY);
  name.writeUInt16BE(ETHERTYPE_AOE, SOCKADDR_LL_PROTOCOL);
  name.writeInt32LE(interfaceIndex, SOCKADDR_LL_IFINDEX);
  return name;
}
