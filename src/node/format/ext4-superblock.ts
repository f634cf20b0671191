/**
 * What an ext4 superblock says of the size of its file system, and how much larger resize2fs would make it.
 *
 * Linux, Documentation/filesystems/ext4/super.rst; little-endian, 1 KiB, 1 KiB from the start of the disk:
 *
 * ```
 *  0x04 blocks, low    0x14 first data block    0x18 block size, as log2 - 10    0x20 blocks per group    0x28 inodes per group
 *  0x38 magic number   0x58 inode size          0x5c compatible features         0x60 incompatible ones   0x64 read-only ones
 *  0xce reserved descriptor blocks              0xfe descriptor size             0x150 blocks, high
 * ```
 */
export const EXT4_SUPERBLOCK = { startBytes: 1024, lengthBytes: 1024 } as const;

const MAGIC = 0xef53;
const COMPAT_RESIZE_INODE = 0x10;
const COMPAT_SPARSE_SUPER2 = 0x200;
const INCOMPAT_META_BG = 0x10;
const INCOMPAT_64BIT = 0x80;
const RO_COMPAT_SPARSE_SUPER = 0x1;
const DESCRIPTOR_BYTES_32BIT = 32;
const TWO_POWER_32 = 2 ** 32;
const LOG_BLOCK_MAX = 6;

/** mkfs and resize2fs leave out what is less than a page, of which 64 KiB is the largest that a kernel has. */
const PAGE_BYTES_MAX = 65_536;
/** resize2fs leaves out a last block group with fewer blocks than this beside its own tables. */
const LAST_GROUP_BLOCKS_MIN = 50;

export interface Ext4Size {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly inodeTableBlocksPerGroup: number;
  readonly descriptorBytes: number;
  /** Blocks behind each copy of the group descriptors that these may still take. */
  readonly reservedDescriptorBlocks: number;
  readonly hasMetaGroups: boolean;
  /** Whether a group starts with copies of superblock and descriptors. */
  readonly hasSuperblock: (group: number) => boolean;
}

export type Ext4Growth =
  /** It has all of its device that it can use. */
  | 'none'
  /** It has less, and what is there stays where it is when it grows. */
  | 'in-place'
  /** It has less, and has no room for the descriptors of more groups: growing moves what is in their way. */
  | 'moving';

/** @param bytes the superblock; undefined when it is none */
export function decodeExt4Size(bytes: Uint8Array): Ext4Size | undefined {
  if (bytes.length < EXT4_SUPERBLOCK.lengthBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const u16 = (offset: number): number => view.getUint16(offset, true);
  const [logBlock, blocksPerGroup] = [u32(0x18), u32(0x20)];
  if (u16(0x38) !== MAGIC || logBlock > LOG_BLOCK_MAX || blocksPerGroup === 0) return undefined;
  const blockBytes = 1024 << logBlock;
  const [compat, incompat, roCompat] = [u32(0x5c), u32(0x60), u32(0x64)];
  const is64Bit = (incompat & INCOMPAT_64BIT) !== 0;
  const isSparse = (roCompat & RO_COMPAT_SPARSE_SUPER) !== 0 || (compat & COMPAT_SPARSE_SUPER2) !== 0;
  return {
    blockBytes,
    blocks: (is64Bit ? u32(0x150) * TWO_POWER_32 : 0) + u32(0x04),
    firstDataBlock: u32(0x14),
    blocksPerGroup,
    inodeTableBlocksPerGroup: Math.ceil((u32(0x28) * u16(0x58)) / blockBytes),
    descriptorBytes: is64Bit ? Math.max(u16(0xfe), DESCRIPTOR_BYTES_32BIT) : DESCRIPTOR_BYTES_32BIT,
    reservedDescriptorBlocks: (compat & COMPAT_RESIZE_INODE) === 0 ? 0 : u16(0xce),
    hasMetaGroups: (incompat & INCOMPAT_META_BG) !== 0,
    hasSuperblock: (group) => !isSparse || isSparseGroup(group),
  };
}

/** What resize2fs would do to a file system on a device of this size. */
export function ext4Growth(size: Ext4Size, deviceBytes: number): Ext4Growth {
  const usable = usableBlocks(size, deviceBytes);
  if (usable <= size.blocks) return 'none';
  const more = descriptorBlocks(size, usable) - descriptorBlocks(size, size.blocks);
  return size.hasMetaGroups || more <= size.reservedDescriptorBlocks ? 'in-place' : 'moving';
}

/** As resize2fs counts (adjust_fs_info in e2fsprogs' resize/resize2fs.c). */
function usableBlocks(size: Ext4Size, deviceBytes: number): number {
  const blocks = (Math.floor(deviceBytes / PAGE_BYTES_MAX) * PAGE_BYTES_MAX) / size.blockBytes;
  const last = groupsOf(size, blocks) - 1;
  const inLast = (blocks - size.firstDataBlock) % size.blocksPerGroup;
  const copies = size.hasSuperblock(last) ? 1 + descriptorBlocks(size, blocks) + size.reservedDescriptorBlocks : 0;
  const tables = 2 + size.inodeTableBlocksPerGroup + copies;
  return inLast < tables + LAST_GROUP_BLOCKS_MIN ? blocks - inLast : blocks;
}

function groupsOf({ firstDataBlock, blocksPerGroup }: Ext4Size, blocks: number): number {
  return Math.ceil((blocks - firstDataBlock) / blocksPerGroup);
}

function descriptorBlocks(size: Ext4Size, blocks: number): number {
  return Math.ceil((groupsOf(size, blocks) * size.descriptorBytes) / size.blockBytes);
}

/** Groups 0 and 1, and the powers of 3, 5 and 7. */
function isSparseGroup(group: number): boolean {
  if (group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}
