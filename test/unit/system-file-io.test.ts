import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { EAGAIN, EBADF, ENOSPC } from '../../src/system/errno.ts';
import { blockDeviceSizeBytes, discardBlocks, FileIo, lockExclusively, punchHole, syncData } from '../../src/system/file-io.ts';
import { mapArena } from '../../src/system/memory.ts';
import { command, device, root, testIf } from '../support/requires.ts';

const directory = mkdtempSync(join(tmpdir(), 'aoe-csi-system-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'volume');
const DATA = 4096;
const arena = mapArena(1 << 18);
const io = new FileIo(arena, 0, 4);

test('FileIo writes and reads ranges of the arena at positions of a file beyond 4 GiB', () => {
  const fd = openSync(path, 'w+');
  const far = 2 ** 40 + 512;
  for (let index = 0; index < 1024; index++) arena.bytes[DATA + index] = index & 0xff;
  expect(io.write(fd, DATA, 1024, far)).toBe(1024);
  expect(statSync(path).size).toBe(far + 1024);
  expect(io.read(fd, DATA + 8192, 2000, far)).toBe(1024);
  expect(arena.bytes.subarray(DATA + 8192, DATA + 8192 + 1024)).toEqual(arena.bytes.subarray(DATA, DATA + 1024));
  expect(io.read(fd, DATA, 512, far + 1024)).toBe(0);
  closeSync(fd);
});

test('FileIo gathers and scatters vectors when the payload is in several chunks', () => {
  const fd = openSync(path, 'w+');
  arena.bytes.fill(0x11, DATA, DATA + 512).fill(0x22, DATA + 2048, DATA + 2560);
  const vector = new IoVector(2);
  vector.push(DATA + 2048, 512);
  vector.push(DATA, 512);
  expect(io.writeVector(fd, vector, 512)).toBe(1024);
  expect(readFileSync(path)).toEqual(Buffer.concat([Buffer.alloc(512), Buffer.alloc(512, 0x22), Buffer.alloc(512, 0x11)]));
  arena.bytes.fill(0, DATA, DATA + 4096);
  expect(io.readVector(fd, vector, 512)).toBe(1024);
  expect([arena.bytes[DATA + 2048], arena.bytes[DATA]]).toEqual([0x22, 0x11]);
  expect(syncData(fd)).toBe(0);
  closeSync(fd);
  expect(io.readVector(fd, vector, 0)).toBe(-EBADF);
});

test('punchHole() zeroes a range and keeps the size', () => {
  const fd = openSync(path, 'w+');
  arena.bytes.fill(0x33, DATA, DATA + 65_536);
  io.write(fd, DATA, 65_536, 0);
  syncData(fd);
  const allocatedBefore = statSync(path).blocks;
  expect(punchHole(fd, 4096, 32_768)).toBe(0);
  expect(statSync(path).size).toBe(65_536);
  expect(statSync(path).blocks).toBeLessThan(allocatedBefore);
  const content = readFileSync(path);
  expect(content.subarray(4096, 36_864).every((byte) => byte === 0)).toBe(true);
  expect([content[4095], content[36_864]]).toEqual([0x33, 0x33]);
  closeSync(fd);
});

test('lockExclusively() answers -EAGAIN when another holds the file', () => {
  const [first, second] = [openSync(path, 'r'), openSync(path, 'r')];
  expect([lockExclusively(first), lockExclusively(second)]).toEqual([0, -EAGAIN]);
  closeSync(first);
  expect(lockExclusively(second)).toBe(0);
  closeSync(second);
});

test('blockDeviceSizeBytes() and discardBlocks() refuse what is no block device', () => {
  const fd = openSync(path, 'r+');
  expect(() => blockDeviceSizeBytes(fd, path)).toThrow(expect.objectContaining({ code: 'ENOTTY' }));
  expect(discardBlocks(fd, 0, 4096)).toBeLessThan(0);
  closeSync(fd);
});

testIf([device('/dev/full')], 'FileIo.write() answers -ENOSPC when there is no room', () => {
  const fd = openSync('/dev/full', 'r+');
  expect(io.write(fd, DATA, 512, 0)).toBe(-ENOSPC);
  closeSync(fd);
});

testIf(
  [root(), device('/dev/loop-control'), command('losetup', 'mount')],
  'blockDeviceSizeBytes() and discardBlocks() work on a block device',
  () => {
    const image = join(directory, 'image');
    writeFileSync(image, Buffer.alloc(1 << 20, 0x55));
    const node = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    try {
      const fd = openSync(node, 'r+');
      expect(blockDeviceSizeBytes(fd, node)).toBe(1 << 20);
      expect(discardBlocks(fd, 65_536, 131_072)).toBe(0);
      expect(io.read(fd, DATA, 131_072, 65_536)).toBe(131_072);
      expect(arena.bytes.subarray(DATA, DATA + 131_072).every((byte) => byte === 0)).toBe(true);
      closeSync(fd);
    } finally {
      execFileSync('losetup', ['--detach', node]);
    }
  },
);
