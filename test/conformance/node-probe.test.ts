import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { writeMark } from '../../src/node/format/begun-mark.ts';
import { FILE_SYSTEMS } from '../../src/node/format/file-systems.ts';
import { probeDevice } from '../../src/node/format/probe.ts';
import { FS_TYPES, type FsType } from '../../src/node/format/verdict.ts';
import { requireIdle } from '../../src/node/kernel/block-device.ts';
import { put, withDisk, withFailingDisk } from '../support/node-disk.ts';
import { command, describeIf, device, root, testIf } from '../support/requires.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 512 * MIB;
/** No multiple of anything that would make it easy. */
const ODD_SIZE = SIZE + 77 * MIB + 13 * 512;
const TEST_MS = 30_000;
const REQUIREMENTS = [root(), command('blkid', 'util-linux'), device('/dev/loop-control')];
const MKFS: Readonly<Record<FsType, readonly [program: string, debianPackage: string]>> = {
  ext4: ['mkfs.ext4', 'e2fsprogs'],
  xfs: ['mkfs.xfs', 'xfsprogs'],
  btrfs: ['mkfs.btrfs', 'btrfs-progs'],
};

type Writer = (path: string, sizeBytes: number) => void;

function program(name: string, ...words: readonly string[]): Writer {
  return (path) => void execFileSync(name, [...words, path], { stdio: 'ignore' });
}

/** Marks by the programs that make them. */
const MADE: readonly (readonly [type: string, name: string, debianPackage: string, write: Writer])[] = [
  ['swap', 'mkswap', 'util-linux', program('mkswap')],
  ['minix', 'mkfs.minix', 'util-linux', program('mkfs.minix')],
  ['ext2', 'mkfs.ext2', 'e2fsprogs', program('mkfs.ext2', '-q')],
  [
    'gpt',
    'sfdisk',
    'fdisk',
    (path) => void execFileSync('sfdisk', [path], { input: 'label: gpt\n,\n', stdio: ['pipe', 'ignore', 'ignore'] }),
  ],
  [
    'dos',
    'sfdisk',
    'fdisk',
    (path) => void execFileSync('sfdisk', [path], { input: 'label: dos\n,\n', stdio: ['pipe', 'ignore', 'ignore'] }),
  ],
];

/** Marks by the bytes that their formats begin with, at their places. */
const KNOWN: readonly (readonly [type: string, write: Writer])[] = [
  ['LVM2_member', (path) => put(path, 512, lvmLabel())],
  ['linux_raid_member', (path) => put(path, 4 * KIB, raidSuperblock(8))],
  ['linux_raid_member', (path, size) => put(path, size - 8 * KIB, raidSuperblock(size / 512 - 16))],
  ['crypto_LUKS', (path) => put(path, 0, 'LUKS\xba\xbe\x00\x01')],
  ['zfs_member', (path) => zfsUberblocks(path, 128 * KIB)],
  ['bcache', (path) => put(path, 4 * KIB + 24, Buffer.from('c68573f64e1a45ca8265f57f48ba6d81', 'hex'))],
  ['drbd', (path, size) => put(path, size - 4 * KIB, drbdSuperblock())],
  ['dos', (path) => put(path, 510, '\x55\xaa')],
];

/** What no program knows. */
const UNKNOWN: readonly (readonly [name: string, write: Writer])[] = [
  ['one byte at the start', (path) => put(path, 0, 'x')],
  ['one byte at the end of the head', (path) => put(path, MIB - 1, 'x')],
  ['one byte at the end', (path, size) => put(path, size - 1, 'x')],
  ['one byte where btrfs keeps a copy', (path) => put(path, 64 * MIB + 64, 'x')],
  ['noise', (path) => put(path, 0, randomBytes(MIB))],
];

describeIf(REQUIREMENTS, 'probeDevice()', () => {
  testIf([], 'finds a zeroed disk blank, whatever its size', async () => {
    for (const size of [512, 4 * KIB, MIB, 3 * MIB, SIZE]) {
      await withDisk(size, async (disk) => expect(await probeDevice(disk)).toEqual({ kind: 'blank' }));
    }
  });

  for (const [type, name, debianPackage, write] of MADE) {
    testIf([command(name, debianPackage)], `finds ${type} as ${name} makes it`, async () => {
      await withDisk(SIZE, async (disk) => {
        write(disk.path, disk.sizeBytes);
        expect(await probeDevice(disk)).toMatchObject({ kind: 'signature', signature: { type } });
      });
    });
  }

  for (const type of FS_TYPES) {
    testIf(
      [command(...MKFS[type])],
      `finds ${type} with the UUID it was made with`,
      async () => {
        await withDisk(SIZE, async (disk) => {
          const uuid = randomUUID();
          await FILE_SYSTEMS[type].make(disk, uuid, false, { timeoutMs: TEST_MS });
          expect(await probeDevice(disk)).toMatchObject({ kind: 'signature', signature: { type, uuid } });
          expect(await FILE_SYSTEMS[type].isBegun(disk, uuid)).toBe(false);
          await FILE_SYSTEMS[type].check(disk, { timeoutMs: TEST_MS });
        });
      },
      TEST_MS,
    );

    testIf(
      [command(...MKFS[type])],
      `never finds a disk blank whose ${type} lost its first superblock`,
      async () => {
        await withDisk(ODD_SIZE, async (disk) => {
          await FILE_SYSTEMS[type].make(disk, randomUUID(), false, { timeoutMs: TEST_MS });
          put(disk.path, 0, Buffer.alloc(MIB));
          expect((await probeDevice(disk)).kind).not.toBe('blank');
        });
      },
      TEST_MS,
    );
  }

  for (const [type, write] of KNOWN) {
    testIf([], `never finds a disk blank that has the mark of ${type}`, async () => {
      await withDisk(SIZE, async (disk) => {
        write(disk.path, disk.sizeBytes);
        const probe = await probeDevice(disk);
        expect(probe.kind).not.toBe('blank');
        if (probe.kind === 'signature') expect(probe.signature.type).toBe(type);
      });
    });
  }

  for (const [name, write] of UNKNOWN) {
    testIf([], `never finds a disk blank that has ${name}`, async () => {
      await withDisk(SIZE, async (disk) => {
        write(disk.path, disk.sizeBytes);
        expect((await probeDevice(disk)).kind).not.toBe('blank');
      });
    });
  }

  testIf(
    [command('nbdkit'), command('nbdfuse', 'libnbd-bin'), device('/dev/fuse')],
    'concludes nothing from a disk that can’t be read',
    async () => {
      await withFailingDisk(SIZE, async (disk, fail) => {
        expect(await probeDevice(disk)).toEqual({ kind: 'blank' });
        fail();
        await expect(probeDevice(disk)).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining(disk.path),
        });
      });
    },
  );
});

describeIf(REQUIREMENTS, 'make()', () => {
  const programs = [...Object.values(MKFS), ['nbdkit', 'nbdkit'], ['nbdfuse', 'libnbd-bin']] as const;
  testIf(
    [...programs.map(([name, debianPackage]) => command(name, debianPackage)), device('/dev/fuse')],
    'works beside a mounted disk that is dead',
    async () => {
      await withFailingDisk(64 * MIB, async (dead, _fail, vanish) => {
        await FILE_SYSTEMS.ext4.make(dead, randomUUID(), false, { timeoutMs: TEST_MS });
        const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-dead-'));
        execFileSync('mount', [dead.path, folder]);
        try {
          vanish();
          await withDisk(SIZE, async (disk) => {
            for (const type of FS_TYPES) {
              await FILE_SYSTEMS[type].make(disk, randomUUID(), false, { timeoutMs: TEST_MS });
              put(disk.path, 0, Buffer.alloc(MIB));
            }
          });
        } finally {
          execFileSync('umount', ['--lazy', folder]);
          rmdirSync(folder);
        }
      });
    },
    TEST_MS,
  );
});

describeIf(REQUIREMENTS, 'isBegun()', () => {
  testIf([command('mkfs.ext4', 'e2fsprogs')], 'knows an ext4 whose mkfs was killed, and its own only', async () => {
    await withDisk(64 * MIB + 3 * 512, async (disk) => {
      const uuid = randomUUID();
      await writeMark(disk, uuid);
      // What mkfs.ext4 writes first: inode tables, a journal.
      put(disk.path, 281_724, randomBytes(KIB));
      expect((await probeDevice(disk)).kind).toBe('data');
      expect(await FILE_SYSTEMS.ext4.isBegun(disk, uuid)).toBe(true);
      expect(await FILE_SYSTEMS.ext4.isBegun(disk, randomUUID())).toBe(false);
      await FILE_SYSTEMS.ext4.make(disk, uuid, true, { timeoutMs: TEST_MS });
      expect(await probeDevice(disk)).toMatchObject({ kind: 'signature', signature: { type: 'ext4', uuid } });
      expect(await FILE_SYSTEMS.ext4.isBegun(disk, uuid)).toBe(false);
    });
  });

  testIf([command('mkfs.xfs', 'xfsprogs')], 'knows an XFS whose mkfs was killed, and its own only', async () => {
    await withDisk(SIZE, async (disk) => {
      const uuid = randomUUID();
      await FILE_SYSTEMS.xfs.make(disk, uuid, false, { timeoutMs: TEST_MS });
      put(disk.path, 126, '\x01');
      expect(await FILE_SYSTEMS.xfs.isBegun(disk, uuid)).toBe(true);
      expect(await FILE_SYSTEMS.xfs.isBegun(disk, randomUUID())).toBe(false);
      await FILE_SYSTEMS.xfs.make(disk, uuid, true, { timeoutMs: TEST_MS });
      expect(await FILE_SYSTEMS.xfs.isBegun(disk, uuid)).toBe(false);
    });
  });

  testIf([command('mkfs.btrfs', 'btrfs-progs')], 'knows a btrfs whose mkfs was killed, and its own only', async () => {
    await withDisk(SIZE, async (disk) => {
      const uuid = randomUUID();
      await FILE_SYSTEMS.btrfs.make(disk, uuid, false, { timeoutMs: TEST_MS });
      put(disk.path, 64 * KIB + 64, '!BHRfS_M');
      expect(await FILE_SYSTEMS.btrfs.isBegun(disk, uuid)).toBe(true);
      expect(await FILE_SYSTEMS.btrfs.isBegun(disk, randomUUID())).toBe(false);
      await FILE_SYSTEMS.btrfs.make(disk, uuid, true, { timeoutMs: TEST_MS });
      expect(await FILE_SYSTEMS.btrfs.isBegun(disk, uuid)).toBe(false);
    });
  });
});

describeIf([...REQUIREMENTS, command('mkfs.ext4', 'e2fsprogs')], 'requireIdle()', () => {
  testIf([], 'refuses a device that is mounted', async () => {
    await withDisk(64 * MIB, async (disk) => {
      await requireIdle(disk);
      await FILE_SYSTEMS.ext4.make(disk, randomUUID(), false, { timeoutMs: TEST_MS });
      execFileSync('mount', [disk.path, '/mnt']);
      try {
        await expect(requireIdle(disk)).rejects.toMatchObject({ code: 'unavailable' });
      } finally {
        execFileSync('umount', ['/mnt']);
      }
    });
  });
});

describeIf([...REQUIREMENTS, command('mkfs.ext4', 'e2fsprogs')], 'check()', () => {
  testIf([], 'mends what e2fsck -p mends, and refuses the rest with its words', async () => {
    await withDisk(64 * MIB, async (disk) => {
      await FILE_SYSTEMS.ext4.make(disk, randomUUID(), false, { timeoutMs: TEST_MS });
      // A wrong count of free blocks is mended without a question; a directory that is no directory is not.
      execFileSync('debugfs', ['-w', '-R', 'set_super_value free_blocks_count 7', disk.path], { stdio: 'ignore' });
      execFileSync('debugfs', ['-w', '-R', 'set_super_value state 0', disk.path], { stdio: 'ignore' });
      await FILE_SYSTEMS.ext4.check(disk, { timeoutMs: TEST_MS });
      execFileSync('debugfs', ['-w', '-R', 'set_inode_field / mode 0100644', disk.path], { stdio: 'ignore' });
      execFileSync('debugfs', ['-w', '-R', 'set_super_value state 2', disk.path], { stdio: 'ignore' });
      await expect(FILE_SYSTEMS.ext4.check(disk, { timeoutMs: TEST_MS })).rejects.toMatchObject({
        code: 'failed-precondition',
        message: expect.stringMatching(/e2fsck -p does not mend \(exit code \d+\): .+; run e2fsck on it by hand/),
      });
    });
  });
});

/** lvm2: label_header at sector 1; its CRC covers what follows it. */
function lvmLabel(): Buffer {
  const label = Buffer.alloc(512);
  label.write('LABELONE', 0, 'latin1');
  label.writeUInt32LE(1, 8);
  label.writeUInt32LE(32, 20);
  label.write('LVM2 001', 24, 'latin1');
  label.write('abcdefghijklmnopqrstuvwxyz012345', 32, 'latin1');
  label.writeUInt32LE(lvmCrc(label.subarray(20)), 16);
  return label;
}

/** lvm2, lib/misc/crc.c: the usual polynomial with a start value of its own, not inverted. */
function lvmCrc(bytes: Buffer): number {
  let crc = 0xf597a6cf;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320);
  }
  return crc >>> 0;
}

/** md, version 1.x: struct mdp_superblock_1, with its checksum. */
function raidSuperblock(superOffsetSectors: number): Buffer {
  const superblock = Buffer.alloc(256);
  superblock.writeUInt32LE(0xa92b4efc, 0);
  superblock.writeUInt32LE(1, 4);
  randomBytes(16).copy(superblock, 16);
  superblock.writeBigUInt64LE(BigInt(superOffsetSectors), 144);
  let sum = 0n;
  for (let at = 0; at < superblock.length; at += 4) sum += BigInt(superblock.readUInt32LE(at));
  superblock.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216);
  return superblock;
}

/** zfs: uberblocks fill the second half of each of four labels of 256 KiB. */
function zfsUberblocks(path: string, atBytes: number): void {
  const uberblock = Buffer.alloc(KIB);
  uberblock.writeBigUInt64LE(0x00bab10cn, 0);
  uberblock.writeBigUInt64LE(5000n, 8);
  for (let index = 0; index < 128; index++) put(path, atBytes + index * KIB, uberblock);
}

/** drbd 9, internal metadata: struct meta_data_on_disk_9 in the last 4 KiB, big-endian. */
function drbdSuperblock(): Buffer {
  const superblock = Buffer.alloc(4 * KIB);
  superblock.writeUInt32BE(0x8374026d, 60);
  return superblock;
}
