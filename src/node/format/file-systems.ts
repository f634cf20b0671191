import type { BlockDevice } from '../kernel/block-device.ts';
import { findingMount } from '../kernel/mount.ts';
import { run, runWell, type Ended, type RunOptions } from '../kernel/run.ts';
import { VolumeError } from '../../volumes/errors.ts';
import { eraseMark, hasMark, writeMark } from './begun-mark.ts';
import { readDevice } from './read-device.ts';
import type { FsType } from './verdict.ts';

/** What is done to a file system of one kind, each by the programs of those who make it. */
export interface FileSystem {
  /** What programs it takes, with the Debian package. */
  readonly programs: readonly (readonly [program: string, debianPackage: string])[];
  /** Makes one; what is on the device is gone. `again`: over what an earlier mkfs of ours has begun. */
  make(device: BlockDevice, uuid: string, again: boolean, options: RunOptions): Promise<void>;
  /** Mends, before it is mounted, what can be mended without a decision. @throws VolumeError `failed-precondition` when that is not enough */
  check(device: BlockDevice, options: RunOptions): Promise<void>;
  /** Makes it as large as its device. @throws ProgramError */
  grow(device: BlockDevice, mountPoint: string): Promise<void>;
  /** Whether a mkfs with this UUID was begun on the device and not ended. */
  isBegun(device: BlockDevice, uuid: string): Promise<boolean>;
}

const GROW_MS = 3_600_000;
const BLOCK_BYTES = 4096;

const EXT4: FileSystem = {
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
  check: async (device, options) => judgeE2fsck(device, await run('e2fsck', ['-p', device.path], options)),
  grow: async (device, mountPoint) => growing(findingMount(mountPoint, () => ['resize2fs', device.path])),
  isBegun: hasMark,
};

/** e2fsck(8): bits of its exit code. */
const FSCK_FIXED = 1 | 2;

function judgeE2fsck({ path }: BlockDevice, { code, stdout, stderr }: Ended): void {
  if ((code & ~FSCK_FIXED) === 0) return;
  const said = [stdout.toString('utf8'), stderr].join(' ').replaceAll(/\s+/g, ' ').trim();
  throw new VolumeError(
    'failed-precondition',
    `cannot mount ${path}: its ext4 has errors that e2fsck -p does not mend (exit code ${code}): ${said}; run e2fsck on it by hand`,
  );
}

const XFS_IN_PROGRESS = 126;
const XFS_UUID = 32;

const XFS: FileSystem = {
  programs: [
    ['mkfs.xfs', 'xfsprogs'],
    ['xfs_growfs', 'xfsprogs'],
  ],
  make: async ({ path }, uuid, again, options) => {
    await runWell('mkfs.xfs', ['-q', '-K', '-m', `uuid=${uuid}`, ...(again ? ['-f'] : []), path], options);
  },
  // The kernel replays the log when it mounts; xfs_repair is a person's decision.
  check: async () => Promise.resolve(),
  grow: async (_device, mountPoint) => growing(findingMount(mountPoint, (path) => ['xfs_growfs', path])),
  // linux/fs/xfs/libxfs/xfs_format.h, struct xfs_dsb: sb_inprogress is 1 until mkfs has ended.
  isBegun: async (device, uuid) => {
    const superblock = await readDevice(device, { startBytes: 0, lengthBytes: BLOCK_BYTES });
    return superblock[XFS_IN_PROGRESS] !== 0 && holdsUuid(superblock, XFS_UUID, uuid);
  },
};

const BTRFS_SUPERBLOCK = 65_536;
const BTRFS_UUID = 32;
const BTRFS_MAGIC = 64;

/**
 * mkfs.btrfs looks at the file behind every mounted loop device, and gives up when one does not answer: a dead volume anywhere on the
 * node would forbid all btrfs. It finds no table of mounts; that its device is idle was seen before (requireIdle).
 */
const WITHOUT_MOUNTS = 'mount -t tmpfs none /proc && mkdir /proc/self && : >/proc/self/mounts && exec "$@"';

const BTRFS: FileSystem = {
  programs: [
    ['mkfs.btrfs', 'btrfs-progs'],
    ['btrfs', 'btrfs-progs'],
  ],
  make: async ({ path }, uuid, again, options) => {
    const words = ['mkfs.btrfs', '-q', '-K', '-U', uuid, ...(again ? ['-f'] : []), path];
    await runWell('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', WITHOUT_MOUNTS, 'sh', ...words], options);
  },
  check: async () => Promise.resolve(),
  grow: async (_device, mountPoint) => growing(['btrfs', 'filesystem', 'resize', 'max', mountPoint]),
  // btrfs-progs writes another magic number until mkfs has ended.
  isBegun: async (device, uuid) => {
    const superblock = await readDevice(device, { startBytes: BTRFS_SUPERBLOCK, lengthBytes: BLOCK_BYTES });
    const isWhole = superblock.toString('latin1', BTRFS_MAGIC, BTRFS_MAGIC + 8) === '_BHRfS_M';
    return !isWhole && holdsUuid(superblock, BTRFS_UUID, uuid);
  },
};

async function growing([program, ...words]: readonly string[]): Promise<void> {
  await runWell(program, words, { timeoutMs: GROW_MS });
}

function holdsUuid(bytes: Buffer, offset: number, uuid: string): boolean {
  return bytes.toString('hex', offset, offset + 16) === uuid.replaceAll('-', '');
}

export const FILE_SYSTEMS: Readonly<Record<FsType, FileSystem>> = { ext4: EXT4, xfs: XFS, btrfs: BTRFS };
