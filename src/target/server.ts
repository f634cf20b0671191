import { MAC_BROADCAST, targetKey } from '../aoe/address.ts';
import { ATA_IDENTIFY, COMMAND_ATA, SHELF_BROADCAST, SLOT_BROADCAST } from '../aoe/constants.ts';
import { ATA_COMMAND, ATA_DATA, COMMAND, SHELF, SLOT } from '../aoe/layout.ts';
import type { Arena, ArenaPlan } from '../buffers/arena.ts';
import { EPOLLIN, MSG_TRUNC } from '../system/constants.ts';
import { Epoll } from '../system/epoll.ts';
import { SystemError } from '../system/errno.ts';
import { MessageBatch } from '../system/message-batch.ts';
import { nowUs } from '../time/clock.ts';
import type { TargetDevice } from './device.ts';
import type { Faults } from './faults.ts';
import { NO_DEVICE, type HeldRequests } from './held-requests.ts';
import type { TargetLog } from './log.ts';
import { Call, SILENCE } from './reply.ts';
import { FRAME_BYTES_MAX, type TargetPort } from './target-port.ts';
import { TargetPorts } from './target-ports.ts';

/** Frames taken from, and given to, the kernel at once. */
const BATCH_FRAMES = 64;
/**
 * Distance between frames in memory: room for the longest, and three cache lines more, because at multiples of 64 KiB the
 * headers of all frames would fight for the same cache set.
 */
export const FRAME_STRIDE = Math.ceil(FRAME_BYTES_MAX / 65_536) * 65_536 + 192;
const MONITOR_TOKEN = -1;
const EVENTS_MAX = 64;

/** Where the server's memory lies in the arena. */
export interface ServerLayout {
  readonly receiveBatch: number;
  readonly sendBatch: number;
  readonly receiveFrames: number;
  readonly sendFrames: number;
}

/** Requests that have to wait, and why. */
export interface FaultyNetwork {
  readonly faults: Faults;
  readonly held: HeldRequests;
}

/**
 * The target's event loop: waits for frames, lets devices answer them, sends the answers. Reads go from the disk straight into
 * the frame that is sent, writes from the frame that was received straight to the disk; no object is made per frame.
 */
export class TargetServer {
  readonly ports: readonly TargetPort[];
  readonly devices: readonly TargetDevice[];
  readonly #deviceOf = new Map<number, number>();
  readonly #network: FaultyNetwork | undefined;
  readonly #epoll = new Epoll(EVENTS_MAX);
  readonly #interfaces: TargetPorts;
  readonly #arena: Arena;
  readonly #call: Call;
  readonly #received: MessageBatch;
  readonly #replies: MessageBatch;
  readonly #layout: ServerLayout;
  /** Replies that have been written and not sent, and the port they belong to. */
  #replyCount = 0;
  #replyPort: TargetPort;

  /** Reserves the server's memory in an arena. */
  static reserve(plan: ArenaPlan): ServerLayout {
    return {
      receiveBatch: plan.reserve(MessageBatch.sizeBytes(BATCH_FRAMES, 1)),
      sendBatch: plan.reserve(MessageBatch.sizeBytes(BATCH_FRAMES, 1)),
      receiveFrames: plan.reserve(BATCH_FRAMES * FRAME_STRIDE),
      sendFrames: plan.reserve(BATCH_FRAMES * FRAME_STRIDE),
    };
  }

  /**
   * @param ports at least one
   * @throws InterfaceRefused when an interface does not exist or carries no frames, SystemError when it can't be opened
   */
  constructor(
    arena: Arena,
    layout: ServerLayout,
    ports: readonly TargetPort[],
    devices: readonly TargetDevice[],
    log: TargetLog,
    network?: FaultyNetwork,
  ) {
    this.ports = ports;
    this.devices = devices;
    this.#arena = arena;
    this.#layout = layout;
    this.#network = network;
    this.#call = new Call(arena);
    this.#replyPort = ports[0];
    devices.forEach(({ shelf, slot }, index) => this.#deviceOf.set(targetKey(shelf, slot), index));
    this.#received = new MessageBatch(arena, layout.receiveBatch, BATCH_FRAMES, 1);
    this.#replies = new MessageBatch(arena, layout.sendBatch, BATCH_FRAMES, 1);
    for (let frame = 0; frame < BATCH_FRAMES; frame++) {
      this.#received.setVector(frame, 0, layout.receiveFrames + frame * FRAME_STRIDE, FRAME_BYTES_MAX);
      this.#replies.setVector(frame, 0, this.#replyOffset(frame), 0);
    }
    this.#interfaces = new TargetPorts(ports, (portIndex, fd) => this.#epoll.add(fd, EPOLLIN, portIndex), log);
    this.#epoll.add(this.#interfaces.fd, EPOLLIN, MONITOR_TOKEN);
  }

  /** Serves for about `sliceMs`, then returns so that the process can look at its signals. Throws SystemError. */
  run(sliceMs: number): void {
    let now = nowUs();
    const endUs = now + sliceMs * 1000;
    while (now < endUs) {
      const dueUs = Math.min(this.#nextUs(), endUs);
      // What is due within a millisecond is waited for by looking again: delays are asked for in milliseconds.
      const count = this.#epoll.wait(Math.max(0, Math.floor((dueUs - now) / 1000)));
      if (count < 0) throw new SystemError({ attempt: 'wait for AoE frames', syscall: 'epoll_wait', errno: -count });
      now = nowUs();
      for (let event = 0; event < count; event++) this.#ready(this.#epoll.token(event), now);
      if (now >= this.#nextUs()) this.#timers(now);
    }
  }

  /** Closes sockets and devices. Acknowledged writes that nobody flushed stay where their backing has them. */
  close(): void {
    this.#interfaces.close();
    for (const device of this.devices) device.backing.close();
    this.#epoll.close();
  }

  #ready(token: number, now: number): void {
    if (token === MONITOR_TOKEN) this.#interfaces.read();
    else this.#receive(token, now);
  }

  #nextUs(): number {
    let next = this.#network?.held.nextUs ?? Infinity;
    for (const port of this.ports) if (port.announceUs < next) next = port.announceUs;
    return next;
  }

  #timers(now: number): void {
    for (const port of this.ports) {
      if (port.announceUs <= now) {
        this.#announce(port);
        port.announced(now);
      }
    }
    if (this.#network !== undefined) this.#serveHeld(this.#network.held, now);
    this.#flush();
  }

  /** One batch of frames: another port, or what is due, may have its turn before the next. */
  #receive(portIndex: number, now: number): void {
    const port = this.ports[portIndex];
    const count = port.socket?.receive(this.#received, 0, BATCH_FRAMES) ?? 0;
    for (let frame = 0; frame < count; frame++) {
      if ((this.#received.flags(frame) & MSG_TRUNC) !== 0) continue;
      const offset = this.#layout.receiveFrames + frame * FRAME_STRIDE;
      const length = this.#received.length(frame);
      port.counters.received++;
      if (this.#network === undefined) this.#serve(offset, length, port);
      else this.#arrive(this.#network, offset, length, portIndex, now);
    }
    this.#flush();
  }

  /** A frame comes out of a bad network: lost, doubled or late. */
  #arrive({ faults, held }: FaultyNetwork, offset: number, length: number, portIndex: number, now: number): void {
    if (faults.loses(length)) return;
    const device = this.#addressee(offset);
    if (device === undefined) return;
    const copies = faults.duplicates() ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (faults.holds) held.hold(offset, length, portIndex, device, faults.dueUs(now, this.#isDiskWork(offset, length)));
      else this.#serve(offset, length, this.ports[portIndex]);
    }
  }

  #serveHeld(held: HeldRequests, now: number): void {
    for (let slot = held.take(now); slot !== undefined; slot = held.take(now)) {
      this.#serve(held.offset(slot), held.length(slot), this.ports[held.port(slot)]);
      held.release(slot);
    }
  }

  #isDiskWork(offset: number, length: number): boolean {
    const { view } = this.#arena;
    const isAta = length >= ATA_DATA && view.getUint8(offset + COMMAND) === COMMAND_ATA;
    return isAta && view.getUint8(offset + ATA_COMMAND) !== ATA_IDENTIFY;
  }

  /** Index of the device a frame is for, NO_DEVICE for a wildcard, undefined when it is for none of ours. */
  #addressee(offset: number): number | undefined {
    const shelf = this.#arena.view.getUint16(offset + SHELF);
    const slot = this.#arena.view.getUint8(offset + SLOT);
    if (shelf === SHELF_BROADCAST || slot === SLOT_BROADCAST) return NO_DEVICE;
    return this.#deviceOf.get(targetKey(shelf, slot));
  }

  /** Lets the device, or for a wildcard every device it means, answer. */
  #serve(offset: number, length: number, port: TargetPort): void {
    const addressee = this.#addressee(offset);
    if (addressee === undefined) return;
    if (addressee !== NO_DEVICE) {
      this.#answer(this.devices[addressee], offset, length, port);
      return;
    }
    for (const device of this.devices) {
      if (device.isAddressedBy(this.#arena.view, offset)) this.#answer(device, offset, length, port);
    }
  }

  #answer(device: TargetDevice, offset: number, length: number, port: TargetPort): void {
    const call = this.#call;
    call.request = offset;
    call.length = length;
    call.reply = this.#nextReply(port);
    call.port = port;
    const replyLength = device.answer(call);
    if (replyLength !== SILENCE) this.#queueReply(replyLength);
  }

  /** Arena offset for one more frame to send on `port`. */
  #nextReply(port: TargetPort): number {
    if (port !== this.#replyPort || this.#replyCount === BATCH_FRAMES) this.#flush();
    this.#replyPort = port;
    return this.#replyOffset(this.#replyCount);
  }

  #queueReply(length: number): void {
    if (this.#network?.faults.loses(length) === true) return;
    this.#replies.setVectorLength(this.#replyCount, 0, length);
    this.#replyCount++;
  }

  #flush(): void {
    if (this.#replyCount === 0) return;
    this.#replyPort.send(this.#replies, this.#replyCount);
    this.#replyCount = 0;
  }

  #replyOffset(frame: number): number {
    return this.#layout.sendFrames + frame * FRAME_STRIDE;
  }

  #announce(port: TargetPort): void {
    for (const device of this.devices) {
      const destinations = device.mask.length === 0 ? [MAC_BROADCAST] : device.mask;
      for (const destination of destinations) {
        const offset = this.#nextReply(port);
        this.#queueReply(device.writeAnnouncement(this.#arena, offset, port, destination));
      }
    }
  }
}
