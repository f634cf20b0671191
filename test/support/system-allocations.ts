import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { EPOLLIN } from '../../src/system/constants.ts';
import { Epoll } from '../../src/system/epoll.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { mapArena } from '../../src/system/memory.ts';
import { MessageBatch } from '../../src/system/message-batch.ts';
import { targetFilter } from '../../src/system/packet-filter.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';
import { StreamIo } from '../../src/system/stream-io.ts';
import { socketPair } from '../../src/system/unix-socket.ts';

const WARM_UP = 50_000;
/** So many that what Node itself leaves on the heap meanwhile (about 100 KB) is less than half a byte per call. */
const CALLS = 250_000;
/** The best of several tries counts: what the compiler leaves there is not the call's. */
const TRIES = 2;

/** Whole bytes that each hot call leaves on JavaScript's heap. Two objects of each kind take turns, as in a process with two NICs. */
export function allocationsPerCall(): Record<string, number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const arena = mapArena(1 << 20);
  const filter = targetFilter({ interfaceIndex: 1, loopback: true });
  const open = () => PacketSocket.open({ interfaceIndex: 1, receiveBufferBytes: 65_536, sendBufferBytes: 65_536, filter });
  const sockets = [open(), open()];
  const batches = [new MessageBatch(arena, 0, 64, 2), new MessageBatch(arena, 8192, 64, 2)];
  const streams = [new StreamIo(arena, 16_384, 4), new StreamIo(arena, 20_480, 4)];
  const signal = EventFd.create();
  const epolls = [new Epoll(4), new Epoll(4)];
  for (const epoll of epolls) epoll.add(signal.fd, EPOLLIN, 7);
  const [ours, theirs] = socketPair();
  const vector = new IoVector(2);
  vector.push(65_536, 28);
  vector.push(131_072, 1024);

  const calls: Record<string, (turn: number) => void> = {
    'PacketSocket.receive': (turn) => sockets[turn & 1].receive(batches[turn & 1], turn & 31, 32),
    'PacketSocket.send': (turn) => sockets[turn & 1].send(batches[turn & 1], turn & 31, 1),
    'MessageBatch.setVector': (turn) => batches[turn & 1].setVector(turn & 63, 1, 65_536 + turn, 1024),
    'StreamIo.send and receive': (turn) => {
      streams[turn & 1].send(ours, vector);
      streams[turn & 1].receive(theirs, vector);
    },
    'Epoll.wait, token and events': (turn) => {
      const epoll = epolls[turn & 1];
      if (epoll.wait(0) !== 1 || epoll.token(0) !== 7 || epoll.events(0) !== EPOLLIN) signal.signal();
    },
    'EventFd.signal and drain': () => {
      signal.signal();
      signal.drain();
    },
  };
  return Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, bytesPerCall(call, collect)]));
}

function bytesPerCall(call: (turn: number) => void, collect: () => void): number {
  for (let turn = 0; turn < WARM_UP; turn++) call(turn);
  let best = Infinity;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let turn = 0; turn < CALLS; turn++) call(turn);
    best = Math.min(best, (process.memoryUsage().heapUsed - before) / CALLS);
  }
  return Math.round(best);
}
