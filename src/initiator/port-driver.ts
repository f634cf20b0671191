import type { Engine } from '../aoe/engine.ts';
import { parseMac } from '../aoe/address.ts';
import { ATA_DATA, COMMAND, TAG } from '../aoe/layout.ts';
import { COMMAND_ATA } from '../aoe/constants.ts';
import { NO_COPY, tagFilterValue, TAG_PREFIX_BITS } from '../aoe/copies.ts';
import type { Port, PortInfo } from '../aoe/port.ts';
import { TRANSMIT_FRAMES } from '../aoe/transmit-batch.ts';
import type { Arena } from '../buffers/arena.ts';
import { EAGAIN, EMSGSIZE, ENETDOWN, ENOBUFS, ENODEV, ENXIO } from '../system/errno.ts';
import type { InterfaceInfo } from '../system/interfaces.ts';
import { MessageBatch } from '../system/message-batch.ts';
import { initiatorFilter } from '../system/packet-filter.ts';
import { PacketSocket } from '../system/packet-socket.ts';
import { ReceiveRing } from './receive-ring.ts';

/** Room in the kernel for a full window of large frames, which it charges at about twice their size. */
const SOCKET_BUFFER_BYTES = 8 * 1024 * 1024;
const VECTOR_HEADER = 0;
const VECTOR_PAYLOAD = 1;
/** Longest frame of another command than ATA: a config response with its longest string. */
const COLD_FRAME_BYTES = 2_048;

/** What came of a flush or a receive. */
export const PORT_OK = 0;
/** The kernel's queue is full: wait a moment. Nobody tells when an interface's has room again. */
export const PORT_BLOCKED = 1;
/** The interface is down; the socket stays good. */
export const PORT_DOWN = 2;
/** The interface is gone: close this driver. */
export const PORT_GONE = 3;
/** A frame is longer than the MTU is now: read the interface's state again. */
export const PORT_TOO_LONG = 4;

export type PortOutcome = 0 | 1 | 2 | 3 | 4;

/** Joins one engine port with one packet socket. */
export class PortDriver {
  readonly interfaceIndex: number;
  readonly name: string;
  readonly port: Port;
  readonly ring: ReceiveRing;
  framesDropped = 0;
  readonly #arena: Arena;
  readonly #engine: Engine;
  readonly #socket: PacketSocket;
  readonly #transmit: MessageBatch;
  readonly #cold: number;

  static sizeBytes(): number {
    return ReceiveRing.sizeBytes() + MessageBatch.sizeBytes(TRANSMIT_FRAMES, 2) + COLD_FRAME_BYTES;
  }

  /** Opens the socket and gives the port to the engine. Throws SystemError; undefined when the engine has too many ports. */
  static open(
    arena: Arena,
    offset: number,
    engine: Engine,
    link: InterfaceInfo,
    tagPrefix: number,
    nowUs: number,
  ): PortDriver | undefined {
    const socket = PacketSocket.open({
      interfaceIndex: link.index,
      receiveBufferBytes: SOCKET_BUFFER_BYTES,
      sendBufferBytes: SOCKET_BUFFER_BYTES,
      filter: initiatorFilter({
        interfaceIndex: link.index,
        loopback: link.loopback,
        tagPrefix: tagFilterValue(tagPrefix),
        tagPrefixBits: TAG_PREFIX_BITS,
      }),
    });
    const port = engine.addPort(portInfo(link), nowUs);
    if (port === undefined) {
      socket.close();
      return undefined;
    }
    return new PortDriver(arena, offset, engine, link, socket, port);
  }

  private constructor(arena: Arena, offset: number, engine: Engine, link: InterfaceInfo, socket: PacketSocket, port: Port) {
    this.interfaceIndex = link.index;
    this.name = link.name;
    this.port = port;
    this.#arena = arena;
    this.#engine = engine;
    this.#socket = socket;
    this.ring = new ReceiveRing(arena, offset, engine.copies);
    const transmitOffset = offset + ReceiveRing.sizeBytes();
    this.#transmit = new MessageBatch(arena, transmitOffset, TRANSMIT_FRAMES, 2);
    this.#cold = transmitOffset + MessageBatch.sizeBytes(TRANSMIT_FRAMES, 2);
    for (let frame = 0; frame < TRANSMIT_FRAMES; frame++) {
      this.#transmit.setVector(frame, VECTOR_HEADER, port.batch.header(frame), 0);
      this.#transmit.setVectorCount(frame, 1);
    }
  }

  get fd(): number {
    return this.#socket.fd;
  }

  update(link: InterfaceInfo, nowUs: number): void {
    this.#engine.updatePort(this.port, portInfo(link), nowUs);
  }

  /** Takes the frames that have come and gives them to the engine. */
  receive(nowUs: number): PortOutcome {
    const { ring } = this;
    const count = ring.receive(this.#socket);
    if (count <= 0) return count === -EAGAIN ? PORT_OK : outcome(-count);
    for (let frame = 0; frame < count; frame++) {
      const at = ring.header(frame);
      const length = ring.length(frame);
      if (this.#arena.bytes[at + COMMAND] === COMMAND_ATA) {
        this.#engine.receive(this.port, at, length, ring.data(frame), nowUs);
      } else {
        this.#engine.receive(this.port, this.#join(at, ring.data(frame), length), length, 0, nowUs);
      }
    }
    ring.finish();
    return PORT_OK;
  }

  /** Sends what the engine has put into the port's batch. */
  flush(): PortOutcome {
    const { batch } = this.port;
    if (batch.count === 0) return PORT_OK;
    for (let frame = 0; frame < batch.count; frame++) this.#prepare(frame);
    let sent = 0;
    let failure = 0;
    while (sent < batch.count) {
      const count = this.#socket.send(this.#transmit, sent, batch.count - sent);
      if (count <= 0) {
        failure = -count;
        // Dropped by the interface's own queue, or refused for good by what is behind it (veth says so of frames that its other end
        // does not take). Like any lost frame it is sent again when its time is over, smaller if need be; tried again at once, it
        // would stand in the way of all others for ever.
        if (failure === ENOBUFS) sent++;
        break;
      }
      sent += count;
    }
    for (let frame = 0; frame < sent; frame++) this.#expect(frame);
    this.#engine.transmitted(this.port, sent);
    return outcome(failure);
  }

  /** Reads and clears the kernel's drop counter. */
  readDrops(): number {
    this.framesDropped += this.#socket.statistics().dropped;
    return this.framesDropped;
  }

  /** Ends the socket and takes the port from the engine. */
  close(nowUs: number): void {
    this.#engine.removePort(this.port, nowUs);
    this.#socket.close();
  }

  #prepare(frame: number): void {
    const { batch } = this.port;
    const transmit = this.#transmit;
    const payload = batch.payloadLength[frame];
    transmit.setVectorLength(frame, VECTOR_HEADER, batch.headerLength[frame]);
    if (payload === 0) {
      transmit.setVectorCount(frame, 1);
    } else {
      transmit.setVector(frame, VECTOR_PAYLOAD, batch.payloadOffset[frame], payload);
      transmit.setVectorCount(frame, 2);
    }
  }

  /** A frame that was given up while it stood in the batch is answered as any other, but its memory may be somebody else's then. */
  #expect(frame: number): void {
    const { batch } = this.port;
    const { copies } = this.#engine;
    const copy = batch.copy[frame];
    const tag = this.#arena.view.getInt32(batch.header(frame) + TAG);
    const waited = copy !== NO_COPY && copies.tag[copy] === tag && copies.isWaitedFor(copy);
    this.ring.expect(copy, tag, batch.replyOffset[frame], waited ? batch.replyLength[frame] : 0);
  }

  /** A frame of another command in one piece: its headers and its body may lie apart. */
  #join(at: number, data: number, length: number): number {
    const { bytes } = this.#arena;
    const body = Math.min(length, COLD_FRAME_BYTES) - ATA_DATA;
    bytes.copyWithin(this.#cold, at, at + ATA_DATA);
    if (body > 0) bytes.copyWithin(this.#cold + ATA_DATA, data, data + body);
    return this.#cold;
  }
}

/** What the engine must know of an interface. */
function portInfo(link: InterfaceInfo): PortInfo {
  return { name: link.name, mac: parseMac(link.macText), mtu: link.mtu, up: link.up && link.running };
}

function outcome(errno: number): PortOutcome {
  switch (errno) {
    case 0:
      return PORT_OK;
    case EAGAIN:
    case ENOBUFS:
      return PORT_BLOCKED;
    case EMSGSIZE:
      return PORT_TOO_LONG;
    case ENXIO:
    case ENODEV:
      return PORT_GONE;
    case ENETDOWN:
    default:
      return PORT_DOWN;
  }
}
