import { readMac, type Mac } from '../aoe/address.ts';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import { ETHERNET_HEADER_BYTES, MTU_OVERHEAD_BYTES } from '../aoe/layout.ts';
import { EPOLLOUT } from '../system/constants.ts';
import { Epoll } from '../system/epoll.ts';
import { EAGAIN, EMSGSIZE, ENOBUFS } from '../system/errno.ts';
import type { InterfaceInfo } from '../system/interfaces.ts';
import type { MessageBatch } from '../system/message-batch.ts';
import { targetFilter } from '../system/packet-filter.ts';
import { PacketSocket } from '../system/packet-socket.ts';
import type { ReplyPort } from './reply.ts';

/** Config strings of full length and lists of LIST_ENTRIES_MAX fit into a frame from here on. */
export const MTU_MIN = 1500;
/** No reply carries more: the frame of the loopback interface's MTU. */
export const FRAME_SECTORS_MAX = 127;
/** Longest frame that is received or sent. */
export const FRAME_BYTES_MAX = ETHERNET_HEADER_BYTES + MTU_OVERHEAD_BYTES + FRAME_SECTORS_MAX * SECTOR_BYTES;

/** A full send queue is waited for this often and long; then frames are lost, as on any network. */
const SEND_WAITS_MAX = 4;
const SEND_WAIT_MS = 5;
/** What the kernel charges a frame of a given MTU to a socket buffer, on the safe side: cards round buffers up. */
const FRAME_CHARGE_FACTOR = 2;
const FRAME_CHARGE_BYTES = 2048;
const SOCKET_BUFFER_BYTES_MIN = 1 << 20;
const SOCKET_BUFFER_BYTES_MAX = 64 << 20;

/** An announcement is repeated, because the first ones may get lost: switches learn, links settle. Pauses in microseconds. */
const ANNOUNCE_AFTER_US: readonly number[] = [0, 300_000, 1_500_000];

/** Frames of one port. */
export class PortCounters {
  received = 0;
  sent = 0;
  /** Not sent: the interface was down, or its queue full for too long. */
  dropped = 0;
  /** Not sent: the MTU had become smaller. */
  tooLong = 0;
}

/** One interface that the target serves, while it exists and while it does not. */
export class TargetPort implements ReplyPort {
  readonly name: string;
  readonly counters = new PortCounters();
  readonly #sectorsMax: number;
  readonly #queueFrames: number;
  #socket: PacketSocket | undefined;
  #writable: Epoll | undefined;
  mac: Mac = 0;
  mtu = 0;
  up = false;
  #index = 0;
  #announced = ANNOUNCE_AFTER_US.length;
  #announceUs = Infinity;

  /**
   * @param sectorsMax cap on sectors per frame, whatever the MTU allows
   * @param queueFrames requests that should find room in the receive buffer
   */
  constructor(name: string, sectorsMax: number, queueFrames: number) {
    this.name = name;
    this.#sectorsMax = Math.min(sectorsMax, FRAME_SECTORS_MAX);
    this.#queueFrames = queueFrames;
  }

  /** As all targets count: the Ethernet header is taken off the MTU although it stands outside. It matters for odd MTUs only. */
  get sectorsPerFrame(): number {
    const fitting = Math.floor((this.mtu - ETHERNET_HEADER_BYTES - MTU_OVERHEAD_BYTES) / SECTOR_BYTES);
    return Math.max(1, Math.min(fitting, this.#sectorsMax));
  }

  /** The socket to receive from; undefined while the interface is gone. */
  get socket(): PacketSocket | undefined {
    return this.#socket;
  }

  /** When it announces its targets next; Infinity when it has. */
  get announceUs(): number {
    return this.#announceUs;
  }

  /** The interface is new, or something about it has changed. Returns true when there is a new socket. Throws SystemError. */
  update(link: InterfaceInfo, nowUs: number): boolean {
    const isNew = this.#socket === undefined || link.index !== this.#index;
    if (isNew) {
      this.close();
      this.#open(link);
    }
    if (link.running && (isNew || !this.up)) this.#startAnnouncing(nowUs);
    this.#index = link.index;
    this.mac = readMac(new DataView(link.mac.buffer, link.mac.byteOffset, link.mac.byteLength), 0);
    this.mtu = link.mtu;
    this.up = link.running;
    return isNew;
  }

  /** True while it uses the interface with this index. */
  isOn(index: number): boolean {
    return this.#socket !== undefined && this.#index === index;
  }

  close(): void {
    this.#socket?.close();
    this.#writable?.close();
    this.#socket = undefined;
    this.#writable = undefined;
    this.up = false;
    this.#announceUs = Infinity;
  }

  /** The caller has announced; the next time comes later. */
  announced(nowUs: number): void {
    this.#announced++;
    this.#announceUs = this.#announced < ANNOUNCE_AFTER_US.length ? nowUs + ANNOUNCE_AFTER_US[this.#announced] : Infinity;
  }

  /** Sends the first `count` messages. What the network does not take is counted and lost, which AoE allows. */
  send(batch: MessageBatch, count: number): void {
    let first = 0;
    let waits = 0;
    while (first < count && this.#socket !== undefined) {
      const sent = this.#socket.send(batch, first, count - first);
      if (sent > 0) {
        first += sent;
        this.counters.sent += sent;
      } else if ((sent === -EAGAIN || sent === -ENOBUFS) && waits < SEND_WAITS_MAX) {
        waits++;
        this.#writable?.wait(SEND_WAIT_MS);
      } else if (sent === -EMSGSIZE) {
        // The MTU has become smaller and the news has not arrived yet. One frame is lost, not the target.
        first++;
        this.counters.tooLong++;
      } else break;
    }
    this.counters.dropped += count - first;
  }

  #open(link: InterfaceInfo): void {
    const chargeBytes = link.mtu * FRAME_CHARGE_FACTOR + FRAME_CHARGE_BYTES;
    const bufferBytes = Math.min(Math.max(this.#queueFrames * chargeBytes, SOCKET_BUFFER_BYTES_MIN), SOCKET_BUFFER_BYTES_MAX);
    this.#socket = PacketSocket.open({
      interfaceIndex: link.index,
      filter: targetFilter({ interfaceIndex: link.index, loopback: link.loopback }),
      receiveBufferBytes: bufferBytes,
      sendBufferBytes: bufferBytes,
    });
    this.#writable = new Epoll(1);
    this.#writable.add(this.#socket.fd, EPOLLOUT, 0);
  }

  #startAnnouncing(nowUs: number): void {
    this.#announced = 0;
    this.#announceUs = nowUs + ANNOUNCE_AFTER_US[0];
  }
}
