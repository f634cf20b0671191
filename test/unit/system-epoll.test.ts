import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../src/system/constants.ts';
import { Epoll } from '../../src/system/epoll.ts';
import { EAGAIN } from '../../src/system/errno.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { closeFd, socketPair } from '../../src/system/unix-socket.ts';

test('Epoll.wait() reports each ready descriptor under its token, up to eventsMax at once', () => {
  const epoll = new Epoll(2);
  const signals = [EventFd.create(), EventFd.create(), EventFd.create()];
  for (const [index, signal] of signals.entries()) epoll.add(signal.fd, EPOLLIN, index - 1);
  expect(epoll.wait(0)).toBe(0);
  signals[0].signal();
  expect([epoll.wait(-1), epoll.token(0), epoll.events(0)]).toEqual([1, -1, EPOLLIN]);
  signals[1].signal();
  signals[2].signal();
  expect(epoll.wait(0)).toBe(2);
  for (const signal of signals) signal.drain();
  expect(epoll.wait(0)).toBe(0);
  for (const signal of signals) {
    epoll.remove(signal.fd);
    signal.close();
  }
  epoll.close();
});

test('Epoll.modify() changes events and token when the descriptor is watched', () => {
  const epoll = new Epoll(4);
  const [ours, theirs] = socketPair();
  epoll.add(ours, EPOLLIN, 5);
  expect(epoll.wait(0)).toBe(0);
  epoll.modify(ours, EPOLLOUT, 0x7fff_ffff);
  expect([epoll.wait(0), epoll.token(0), epoll.events(0)]).toEqual([1, 0x7fff_ffff, EPOLLOUT]);
  epoll.modify(ours, 0, 6);
  closeFd(theirs);
  expect([epoll.wait(0), epoll.token(0), epoll.events(0)]).toEqual([1, 6, EPOLLHUP]);
  closeFd(ours);
  epoll.close();
});

test('Epoll refuses by name when a descriptor is watched twice or not at all', () => {
  const epoll = new Epoll(1);
  const signal = EventFd.create();
  epoll.add(signal.fd, EPOLLIN, 0);
  expect(() => epoll.add(signal.fd, EPOLLIN, 0)).toThrow(`cannot watch descriptor ${signal.fd}: epoll_ctl: EEXIST`);
  epoll.remove(signal.fd);
  expect(() => epoll.remove(signal.fd)).toThrow(/cannot stop watching descriptor \d+: epoll_ctl: ENOENT/);
  signal.close();
  epoll.close();
});

test('Epoll.wait() waits for timeoutMs when nothing happens', () => {
  const epoll = new Epoll(1);
  const before = process.hrtime.bigint();
  expect(epoll.wait(30)).toBe(0);
  expect(Number(process.hrtime.bigint() - before) / 1e6).toBeGreaterThanOrEqual(29);
  epoll.close();
});

test('EventFd merges signals and drains to -EAGAIN when nobody signalled', () => {
  const signal = EventFd.create();
  expect([signal.drain(), signal.signal(), signal.signal(), signal.drain(), signal.drain()]).toEqual([-EAGAIN, 0, 0, 0, -EAGAIN]);
  signal.close();
});

test('EventFd wakes a worker thread that is blocked in Epoll.wait()', async () => {
  const [toWorker, toMain] = [EventFd.create(), EventFd.create()];
  const worker = new Worker(new URL('../support/system-epoll-worker.js', import.meta.url), {
    workerData: { listenFd: toWorker.fd, answerFd: toMain.fd },
  });
  const exited = once(worker, 'exit');
  await once(worker, 'message');
  toWorker.signal();
  const epoll = new Epoll(1);
  epoll.add(toMain.fd, EPOLLIN, 1);
  expect(epoll.wait(10_000)).toBe(1);
  await exited;
  for (const signal of [toWorker, toMain]) signal.close();
  epoll.close();
});
