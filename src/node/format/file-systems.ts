import { findingMount } from '../kernel/mount.ts';
import { runWell } from '../kernel/run.ts';
import { EXT4 } from './ext4.ts';
import type { FileSystem } from './file-system.ts';
import { readDevice } from './read-device.ts';
import type { FsType } from './verdict.ts';

const GROW_MS = 3_600_000;
const BLOCK_BYTES = 4096;

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
  whyNotMounted: () => undefined,
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
  whyNotMounted: () => undefined,
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
