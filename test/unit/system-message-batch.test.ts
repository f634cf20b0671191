import { expect, test } from '@jest/globals';
import { plainArena } from '../../src/buffers/arena.ts';
import { MessageBatch } from '../../src/system/message-batch.ts';
import { storeWord64 } from '../../src/system/structs.ts';

test('storeWord64() stores addresses exactly up to 2^53', () => {
  const words = new Int32Array(2);
  const stored = new DataView(words.buffer);
  for (const value of [
    0,
    1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_f000,
    0xffff_8000_0001,
    2 ** 53 - 1,
  ]) {
    storeWord64(words, 0, value);
    expect(stored.getBigUint64(0, true)).toBe(BigInt(value));
  }
});

test('MessageBatch lays headers and vectors out in its region and nowhere else', () => {
  const arena = { ...plainArena(512), address: 0x7f00_ffff_ff00 };
  arena.bytes.fill(0xaa);
  const batch = new MessageBatch(arena, 64, 2, 3);
  const sizeBytes = MessageBatch.sizeBytes(2, 3);
  expect(sizeBytes).toBe(2 * 64 + 6 * 16);
  expect(arena.bytes.subarray(0, 64).every((byte) => byte === 0xaa)).toBe(true);
  expect(arena.bytes.subarray(64 + sizeBytes).every((byte) => byte === 0xaa)).toBe(true);

  batch.setVector(1, 2, 300, 1464);
  batch.setVectorCount(1, 2);
  expect(batch.addressOf(1)).toBe(0x7f00_ffff_ff00 + 64 + 64);
  const secondHeader = 64 + 64;
  const itsVectors = 64 + 128 + 48;
  expect(arena.view.getBigUint64(secondHeader + 16, true)).toBe(BigInt(0x7f00_ffff_ff00 + itsVectors));
  expect(arena.view.getBigUint64(secondHeader + 24, true)).toBe(2n);
  expect(arena.view.getBigUint64(itsVectors + 32, true)).toBe(BigInt(0x7f00_ffff_ff00 + 300));
  expect(arena.view.getBigUint64(itsVectors + 40, true)).toBe(1464n);
  batch.setVectorLength(1, 2, 7);
  expect(arena.view.getBigUint64(itsVectors + 32, true)).toBe(BigInt(0x7f00_ffff_ff00 + 300));
  expect(arena.view.getBigUint64(itsVectors + 40, true)).toBe(7n);
  expect(arena.view.getBigUint64(64 + 24, true)).toBe(3n);
});

test('MessageBatch.length() and flags() read what the kernel writes', () => {
  const arena = plainArena(256);
  const batch = new MessageBatch(arena, 0, 2, 1);
  arena.view.setInt32(64 + 48, 0x20, true);
  arena.view.setUint32(64 + 56, 9036, true);
  expect([batch.length(0), batch.flags(0), batch.length(1), batch.flags(1)]).toEqual([0, 0, 9036, 0x20]);
});
