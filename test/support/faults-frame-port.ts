import { EPOLLIN } from '../../src/system/constants.ts';
import { Epoll } from '../../src/system/epoll.ts';
import { listInterfaces } from '../../src/system/interfaces.ts';
import { mapArena } from '../../src/system/memory.ts';
import { MessageBatch } from '../../src/system/message-batch.ts';
import type { FilterProgram } from '../../src/system/packet-filter.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';

const FRAMES = 64;
/** Room for a frame at MTU 9000, and more. */
const FRAME_BYTES = 16_384;
const SOCKET_BUFFER_BYTES = 8 << 20;
/** A full send queue is waited for so often, a millisecond each; then frames are lost, as in a network. */
const SEND_TRIES = 50;
/** BPF_RET | BPF_K with the largest number of bytes: everything, also what is meant for other MACs. */
const EVERYTHING: FilterProgram = [{ code: 0x06, jumpTrue: 0, jumpFalse: 0, operand: 0xffff_ffff }];

/** A raw socket for AoE frames on one interface, for test programs that play targets and switches: sees every frame there. */
export class FramePort {
  readonly mac: Buffer;
  readonly fd: number;
  readonly #socket: PacketSocket;
  readonly #received: MessageBatch;
  readonly #queued: MessageBatch;
  readonly #arena = mapArena(2 * MessageBatch.sizeBytes(FRAMES, 1) + 2 * FRAMES * FRAME_BYTES);
  readonly #receiveFrames: number;
  readonly #sendFrames: number;
  #queuedCount = 0;

  constructor(name: string) {
    const link = listInterfaces().find((each) => each.name === name);
    if (link === undefined) throw new Error(`there is no interface ${name} here`);
    const buffers = { receiveBufferBytes: SOCKET_BUFFER_BYTES, sendBufferBytes: SOCKET_BUFFER_BYTES };
    this.#socket = PacketSocket.open({ interfaceIndex: link.index, filter: EVERYTHING, ...buffers });
    this.fd = this.#socket.fd;
    this.mac = Buffer.from(link.mac);
    const batchBytes = MessageBatch.sizeBytes(FRAMES, 1);
    this.#received = new MessageBatch(this.#arena, 0, FRAMES, 1);
    this.#queued = new MessageBatch(this.#arena, batchBytes, FRAMES, 1);
    this.#receiveFrames = 2 * batchBytes;
    this.#sendFrames = this.#receiveFrames + FRAMES * FRAME_BYTES;
    for (let frame = 0; frame < FRAMES; frame++) {
      this.#received.setVector(frame, 0, this.#receiveFrames + frame * FRAME_BYTES, FRAME_BYTES);
    }
  }

  /** Gives every frame that has come to `take`, which may keep it no longer than its call. */
  receive(take: (frame: Buffer) => void): void {
    const count = this.#socket.receive(this.#received, 0, FRAMES);
    for (let frame = 0; frame < count; frame++) {
      take(Buffer.from(this.#arena.bytes.buffer, this.#receiveFrames + frame * FRAME_BYTES, this.#received.length(frame)));
    }
  }

  /** Queues a copy of the frame. */
  send(frame: Buffer): void {
    if (this.#queuedCount === FRAMES) this.flush();
    const at = this.#sendFrames + this.#queuedCount * FRAME_BYTES;
    this.#arena.bytes.set(frame, at);
    this.#queued.setVector(this.#queuedCount++, 0, at, frame.length);
  }

  /** Sends what is queued. What the interface does not take is lost. */
  flush(): void {
    let first = 0;
    for (let tries = 0; first < this.#queuedCount && tries < SEND_TRIES; tries++) {
      const sent = this.#socket.send(this.#queued, first, this.#queuedCount - first);
      if (sent > 0) first += sent;
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    this.#queuedCount = 0;
  }
}

/** Calls `turn` whenever a frame has come, and at least every millisecond; between turns Node's own events have theirs. */
export function runPorts(ports: readonly FramePort[], turn: () => void): void {
  const epoll = new Epoll(ports.length);
  ports.forEach((port, index) => epoll.add(port.fd, EPOLLIN, index));
  const next = (): void => {
    epoll.wait(1);
    turn();
    for (const port of ports) port.flush();
    setImmediate(next);
  };
  next();
}
