import { CAP_SYS_RESOURCE, hasCapability } from '../../system/capabilities.ts';
import { VolumeError } from '../../volumes/errors.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import { findingMount } from '../kernel/mount.ts';
import { run, runWell, type RunOptions } from '../kernel/run.ts';
import { eraseMark, hasMark, writeMark } from './begun-mark.ts';
import { decodeExt4Size, EXT4_SUPERBLOCK, ext4Growth } from './ext4-superblock.ts';
import type { FileSystem } from './file-system.ts';
import { readDevice } from './read-device.ts';

const GROW_MS = 3_600_000;
/** What is read past the page cache begins and ends at whole blocks of any disk. */
const BLOCK_BYTES = 4096;

export const EXT4: FileSystem = {
  programs: [
    ['mkfs.ext4', 'e2fsprogs'],
    ['e2fsck', 'e2fsprogs'],
    ['resize2fs', 'e2fsprogs'],
  ],
  // The superblock comes last: a mkfs that was killed leaves inode tables and a journal, but nothing that says whose they are.
  make: async (device, uuid, again, options) => {
    await writeMark(device, uuid);
    await runWell('mkfs.ext4', ['-q', '-E', 'nodiscard', '-U', uuid, ...(again ? ['-F'] : []), device.path], options);
    await eraseMark(device);
  },
  check: async (device, options) => e2fsck(device, ['-p'], options),
  grow: async ({ path }, mountPoint) => {
    const [program = '', ...words] = findingMount(mountPoint, () => ['resize2fs', path]);
    await runWell(program, words, { timeoutMs: GROW_MS });
  },
  // fs/ext4/resize.c, ext4_resize_begin().
  whyNotMounted: () => {
    if (hasCapability(CAP_SYS_RESOURCE)) return undefined;
    return 'the kernel lets a mounted ext4 grow for the capability CAP_SYS_RESOURCE only, which the node plugin does not have';
  },
  unmounted: {
    wanted: async (device) => {
      const start = await readDevice(device, { startBytes: 0, lengthBytes: BLOCK_BYTES });
      const { startBytes, lengthBytes } = EXT4_SUPERBLOCK;
      const size = decodeExt4Size(start.subarray(startBytes, startBytes + lengthBytes));
      return size === undefined ? 'none' : ext4Growth(size, device.sizeBytes);
    },
    // resize2fs wants to see that all was looked at since it was last mounted.
    checkAll: async (device, options) => e2fsck(device, ['-f', '-p'], options),
    grow: async ({ path }) => void (await runWell('resize2fs', [path], { timeoutMs: GROW_MS })),
    // As resize2fs advises after a failure. With -p, e2fsck leaves nearly each such state to a person.
    mend: async (device, options) => e2fsck(device, ['-f', '-y'], options),
  },
  isBegun: hasMark,
};

/** e2fsck(8): bits of its exit code. */
const FSCK_FIXED = 1 | 2;

async function e2fsck({ path }: BlockDevice, flags: readonly string[], options: RunOptions): Promise<void> {
  const { code, stdout, stderr } = await run('e2fsck', [...flags, path], options);
  if ((code & ~FSCK_FIXED) === 0) return;
  const said = [stdout.toString('utf8'), stderr].join(' ').replaceAll(/\s+/g, ' ').trim();
  throw new VolumeError(
    'failed-precondition',
    `cannot mount ${path}: its ext4 has errors that e2fsck ${flags.join(' ')} does not mend (exit code ${code}): ${said}; run e2fsck on it by hand`,
  );
}
