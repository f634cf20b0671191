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

/** What was counted between two moments. */
export function callsSince(before: SystemCalls, now: SystemCalls): SystemCalls {
  return {
    waits: now.waits - before.waits,
    frameReceives: now.frameReceives - before.frameReceives,
    frameSends: now.frameSends - before.frameSends,
    streamReceives: now.streamReceives - before.streamReceives,
    streamSends: now.streamSends - before.streamSends,
  };
}

export function totalOf(calls: SystemCalls): number {
  return calls.waits + calls.frameReceives + calls.frameSends + calls.streamReceives + calls.streamSends;
}

/**
 * Counts the calls of the five methods of src/system that the loop makes all its system calls with, each of which is one. From
 * outside, strace would make the loop so slow that its batches, which are what is to be known, were others.
 */
export function countSystemCalls(): SystemCalls {
  const calls = { waits: 0, frameReceives: 0, frameSends: 0, streamReceives: 0, streamSends: 0 };
  intercept(Epoll.prototype, 'wait', () => calls.waits++);
  intercept(PacketSocket.prototype, 'receive', () => calls.frameReceives++);
  intercept(PacketSocket.prototype, 'send', () => calls.frameSends++);
  intercept(StreamIo.prototype, 'receive', () => calls.streamReceives++);
  intercept(StreamIo.prototype, 'send', () => calls.streamSends++);
  return calls;
}

function intercept<Methods extends object>(prototype: Methods, method: keyof Methods & string, called: () => void): void {
  const original = Reflect.get(prototype, method) as (...words: unknown[]) => unknown;
  Reflect.set(prototype, method, function intercepted(this: Methods, ...words: unknown[]): unknown {
    called();
    return original.apply(this, words);
  });
}
