import { expect, test } from '@jest/globals';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { EAGAIN, EBADF, EPIPE } from '../../src/system/errno.ts';
import { mapArena } from '../../src/system/memory.ts';
import { StreamIo } from '../../src/system/stream-io.ts';
import { closeFd, socketPair } from '../../src/system/unix-socket.ts';

const VECTORS_MAX = 4;
const DATA = 4096;
const arena = mapArena(1 << 20);
const io = new StreamIo(arena, 64, VECTORS_MAX);

function vectorOf(...ranges: [offset: number, lengthBytes: number][]): IoVector {
  const vector = new IoVector(8);
  for (const [offset, lengthBytes] of ranges) vector.push(offset, lengthBytes);
  return vector;
}

test('mapArena() gives zeroed memory at a page address', () => {
  expect(arena.address % 4096).toBe(0);
  expect(arena.bytes.length).toBe(1 << 20);
  expect(mapArena(5000).bytes.every((byte) => byte === 0)).toBe(true);
  // More than processes have addresses: a machine that overcommits, as kubelets have it, refuses nothing less.
  expect(() => mapArena(2 ** 48)).toThrow(/cannot map 281474976710656 bytes of buffer memory: mmap: ENOMEM/);
});

test('StreamIo gathers ranges to send and scatters what it receives, in order', () => {
  const [ours, theirs] = socketPair();
  arena.bytes.set(Buffer.from('header'), DATA);
  arena.bytes.set(Buffer.from('payload'), DATA + 1000);
  expect(io.send(ours, vectorOf([DATA, 6], [DATA + 1000, 7]))).toBe(13);
  expect(io.receive(theirs, vectorOf([DATA + 2000, 3], [DATA + 3000, 8], [DATA + 4000, 100]))).toBe(13);
  const at = (offset: number, length: number) =>
    Buffer.from(arena.bytes.subarray(DATA + offset, DATA + offset + length)).toString();
  expect([at(2000, 3), at(3000, 8), at(4000, 2)]).toEqual(['hea', 'derpaylo', 'ad']);
  for (const fd of [ours, theirs]) closeFd(fd);
});

test('StreamIo takes part of a vector when it has more ranges than the instance', () => {
  const [ours, theirs] = socketPair();
  expect(io.send(ours, vectorOf([0, 1], [0, 1], [0, 1], [0, 1], [0, 1]))).toBe(VECTORS_MAX);
  for (const fd of [ours, theirs]) closeFd(fd);
});

test('StreamIo answers -EAGAIN, 0 and -EPIPE when there is nothing, no more and nobody', () => {
  const [ours, theirs] = socketPair();
  const one = vectorOf([DATA, 1]);
  expect(io.receive(ours, one)).toBe(-EAGAIN);
  let sent = 0;
  const big = vectorOf([DATA, 500_000]);
  for (let bytes = io.send(ours, big); bytes > 0; bytes = io.send(ours, big)) sent += bytes;
  expect(sent).toBeGreaterThan(0);
  expect(io.send(ours, big)).toBe(-EAGAIN);
  closeFd(theirs);
  expect(io.send(ours, one)).toBe(-EPIPE);
  closeFd(ours);
  expect(io.receive(ours, one)).toBe(-EBADF);
});

test('StreamIo.receive() returns 0 when the peer has closed', () => {
  const [ours, theirs] = socketPair();
  closeFd(theirs);
  expect(io.receive(ours, vectorOf([DATA, 1]))).toBe(0);
  closeFd(ours);
});
