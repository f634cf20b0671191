import { readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { claimAbstractName } from '../../src/system/abstract-lock.ts';
import { SCM_MAX_FD } from '../../src/system/constants.ts';
import { receiveDescriptors, sendDescriptors } from '../../src/system/descriptor-passing.ts';
import { EAGAIN } from '../../src/system/errno.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { closeFd, socketPair } from '../../src/system/unix-socket.ts';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

test('sendDescriptors() hands over descriptors that work, with their payload', () => {
  const [ours, theirs] = socketPair();
  const signal = EventFd.create();
  expect(receiveDescriptors(theirs, 100, 1)).toBe(-EAGAIN);
  expect(sendDescriptors(ours, [signal.fd, signal.fd, signal.fd], Buffer.from('unread bytes'))).toBe(12);
  const received = receiveDescriptors(theirs, 100, 3);
  if (typeof received === 'number') throw new Error(`received errno ${received}`);
  expect(received.payload.toString()).toBe('unread bytes');
  expect(received.descriptors).toHaveLength(3);
  new EventFd(received.descriptors[2]).signal();
  expect(signal.drain()).toBe(0);
  for (const fd of [...received.descriptors, ours, theirs, signal.fd]) closeFd(fd);
});

test('receiveDescriptors() leaves the rest of a long payload in the stream', () => {
  const [ours, theirs] = socketPair();
  sendDescriptors(ours, [ours], Buffer.from('abcdef'));
  const first = receiveDescriptors(theirs, 4, 1);
  const second = receiveDescriptors(theirs, 4, 1);
  if (typeof first === 'number' || typeof second === 'number') throw new Error('nothing received');
  expect([first.payload.toString(), second.payload.toString()]).toEqual(['abcd', 'ef']);
  expect([first.descriptors.length, second.descriptors.length]).toEqual([1, 0]);
  for (const fd of [...first.descriptors, ours, theirs]) closeFd(fd);
});

test('receiveDescriptors() closes everything and says so when more came than it takes', () => {
  const [ours, theirs] = socketPair();
  const before = openDescriptors();
  for (const count of [2, 3, 50, SCM_MAX_FD]) {
    sendDescriptors(ours, new Array<number>(count).fill(ours), Buffer.from('x'));
    expect(() => receiveDescriptors(theirs, 1, 1)).toThrow(expect.objectContaining({ code: 'EMSGSIZE' }));
  }
  expect(openDescriptors()).toBe(before);
  closeFd(ours);
  expect(receiveDescriptors(theirs, 1, 1)).toMatchObject({ descriptors: [], payload: Buffer.alloc(0) });
  closeFd(theirs);
});

test('sendDescriptors() refuses when there is no payload, or too many descriptors', () => {
  const [ours, theirs] = socketPair();
  expect(() => sendDescriptors(ours, [ours], Buffer.alloc(0))).toThrow(/EINVAL .*at least one byte/);
  expect(() => sendDescriptors(ours, new Array<number>(SCM_MAX_FD + 1).fill(ours), Buffer.from('x'))).toThrow(/EINVAL/);
  for (const fd of [ours, theirs]) closeFd(fd);
});

test('claimAbstractName() gives a name to one holder at a time', () => {
  const name = `aoe-csi-test-${process.pid}`;
  const claim = claimAbstractName(name);
  expect(claim).toBeGreaterThan(0);
  expect(claimAbstractName(name)).toBeUndefined();
  const other = claimAbstractName(`${name}-b`);
  expect(other).toBeGreaterThan(0);
  closeFd(claim ?? -1);
  const again = claimAbstractName(name);
  expect(again).toBeGreaterThan(0);
  for (const fd of [again, other]) closeFd(fd ?? -1);
  expect(() => claimAbstractName('x'.repeat(200))).toThrow(/ENAMETOOLONG/);
});
