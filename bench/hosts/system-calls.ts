import { Epoll } from '../../src/system/epoll.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';
import { StreamIo } from '../../src/system/stream-io.ts';

/** System calls of the data path, by kind. */
export interface SystemCalls {
  waits: number;
  frameReceives: number;
  frameSends: number;
  streamReceives: number;
  streamSends: number;
}

export function totalOf(calls: SystemCalls): number {
  return calls.waits + calls.frameReceives + calls.frameSends + calls.streamReceives + calls.streamSends;
}

class Counter implements SystemCalls {
  waits = 0;
  frameReceives = 0;
  frameSends = 0;
  streamReceives = 0;
  streamSends = 0;

  reset(): void {
    this.waits = this.frameReceives = this.frameSends = this.streamReceives = this.streamSends = 0;
  }
}

/**
 * Counts the calls of the five methods of src/system that the loop makes all its system calls with, each of which is one. From
 * outside, strace would make the loop so slow that its batches, which are what is to be known, were others.
 */
export function countSystemCalls(): Counter {
  const calls = new Counter();
  const { wait } = Epoll.prototype;
  Epoll.prototype.wait = function counted(this: Epoll, timeoutMs) {
    calls.waits++;
    return wait.call(this, timeoutMs);
  };
  const { receive, send } = PacketSocket.prototype;
  PacketSocket.prototype.receive = function counted(this: PacketSocket, batch, first, count) {
    calls.frameReceives++;
    return receive.call(this, batch, first, count);
  };
  PacketSocket.prototype.send = function counted(this: PacketSocket, batch, first, count) {
    calls.frameSends++;
    return send.call(this, batch, first, count);
  };
  const { receive: streamReceive, send: streamSend } = StreamIo.prototype;
  StreamIo.prototype.receive = function counted(this: StreamIo, fd, vector) {
    calls.streamReceives++;
    return streamReceive.call(this, fd, vector);
  };
  StreamIo.prototype.send = function counted(this: StreamIo, fd, vector) {
    calls.streamSends++;
    return streamSend.call(this, fd, vector);
  };
  return calls;
}
