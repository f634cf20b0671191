import { Epoll } from '../../src/system/epoll.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';
import { StreamIo } from '../../src/system/stream-io.ts';

/** System calls of the data path, by kind. */
export class SystemCalls {
  waits = 0;
  frameReceives = 0;
  frameSends = 0;
  streamReceives = 0;
  streamSends = 0;

  get total(): number {
    return this.waits + this.frameReceives + this.frameSends + this.streamReceives + this.streamSends;
  }
}

/**
 * Counts the calls of the five methods of src/system that the loop makes all its system calls with, each of which is one. From
 * outside, strace would make the loop so slow that its batches, which are what is to be known, were others.
 */
export function countSystemCalls(): SystemCalls {
  const calls = new SystemCalls();
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
