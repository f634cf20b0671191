import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { decodeExt4Size, EXT4_SUPERBLOCK, ext4Growth, type Ext4Size } from '../../src/node/format/ext4-superblock.ts';
import { Random } from '../simulation/random.ts';
import { command, describeIf } from '../support/requires.ts';

const MIB = 2 ** 20;
/** All that is decided of a size is decided in these. */
const STEP = 65_536;
const ROUNDS = 40;
const TEST_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-ext4-'));
const file = join(folder, 'disk');

function make(bytes: number, ...words: string[]): void {
  rmSync(file, { force: true });
  writeFileSync(file, '');
  truncateSync(file, bytes);
  execFileSync('mkfs.ext4', ['-q', '-F', ...words, file]);
}

function sizeOf(): Ext4Size {
  const bytes = Buffer.alloc(EXT4_SUPERBLOCK.lengthBytes);
  const disk = openSync(file, 'r');
  readSync(disk, bytes, 0, bytes.length, EXT4_SUPERBLOCK.startBytes);
  closeSync(disk);
  const size = decodeExt4Size(bytes);
  if (size === undefined) throw new Error('no ext4');
  return size;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeIf([command('mkfs.ext4', 'e2fsprogs'), command('resize2fs', 'e2fsprogs')], 'ext4Growth()', () => {
  test(
    'says what resize2fs does, for any size of disk and any tail of a block group',
    () => {
      const random = new Random(1);
      for (let round = 0; round < ROUNDS; round++) {
        const blockBytes = random.integer(0, 1) === 0 ? 1024 : 4096;
        const group = 8 * blockBytes * blockBytes;
        // Ends of groups are where it is not simply all of the disk.
        const wholeGroups = random.integer(0, 1) === 0 ? group * random.integer(1, 4) : 0;
        const from = 16 * MIB + STEP * random.integer(0, 512);
        const to = Math.max(wholeGroups, from) + STEP * random.integer(0, blockBytes === 1024 ? 48 : 300);
        const words = ['-b', String(blockBytes), ...(random.integer(0, 2) === 0 ? ['-O', '^64bit'] : [])];
        make(from, ...words);
        const before = sizeOf();
        truncateSync(file, to);
        const growth = ext4Growth(before, to);
        execFileSync('resize2fs', [file], { stdio: 'ignore' });
        const after = sizeOf();
        const what = { round, words: words.join(' '), from, to };
        expect({ ...what, growth }).toEqual({ ...what, growth: after.blocks > before.blocks ? 'in-place' : 'none' });
        expect({ ...what, again: ext4Growth(after, to) }).toEqual({ ...what, again: 'none' });
      }
    },
    TEST_MS,
  );

  test('is moving when the descriptors of more groups have no room, and in-place when some was kept', () => {
    make(64 * MIB, '-b', '1024', '-O', '^resize_inode');
    expect(ext4Growth(sizeOf(), 96 * MIB)).toBe('in-place');
    expect(ext4Growth(sizeOf(), 1024 * MIB)).toBe('moving');
    make(64 * MIB, '-b', '1024', '-E', `resize=${String(512 * 1024)}`);
    expect(ext4Growth(sizeOf(), 512 * MIB)).toBe('in-place');
    expect(ext4Growth(sizeOf(), 4096 * MIB)).toBe('moving');
  });

  test('is none for a disk that has shrunk, or kept its size; and what is no ext4 has no size', () => {
    make(64 * MIB);
    expect(ext4Growth(sizeOf(), 64 * MIB)).toBe('none');
    expect(ext4Growth(sizeOf(), 32 * MIB)).toBe('none');
    expect(ext4Growth(sizeOf(), 0)).toBe('none');
    expect(decodeExt4Size(new Uint8Array(1024))).toBeUndefined();
    expect(decodeExt4Size(new Uint8Array(1023))).toBeUndefined();
    expect(spawnSync('e2fsck', ['-f', '-n', file]).status).toBe(0);
  });
});
