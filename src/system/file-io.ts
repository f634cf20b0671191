import type { Arena } from '../buffers/arena.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import { BLKDISCARD, BLKGETSIZE64, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, LOCK_EX, LOCK_NB } from './constants.ts';
import { IovecTable } from './iovec-table.ts';
import { fallocate, fdatasync, flock, ioctl, orNegativeErrno, orThrow, pread, preadv, pwrite, pwritev } from './libc.ts';

/**
 * Reads and writes of files and block devices straight from and to an arena. Every call returns bytes done (0: end of file) or
 * a negative errno; short transfers happen at the end of a file and when it runs out of space. These calls wait for the disk.
 */
export class FileIo {
  readonly #arena: Arena;
  readonly #vectors: IovecTable;

  /** Bytes of arena that an instance for up to `vectorsMax` ranges needs. */
  static sizeBytes(vectorsMax: number): number {
    return IovecTable.sizeBytes(vectorsMax);
  }

  /** `regionOffset` is a multiple of 8. */
  constructor(arena: Arena, regionOffset: number, vectorsMax: number) {
    this.#arena = arena;
    this.#vectors = new IovecTable(arena, regionOffset, vectorsMax);
  }

  /** Reads `lengthBytes` bytes at `position` of the file to `arenaOffset`. */
  read(fd: number, arenaOffset: number, lengthBytes: number, position: number): number {
    return orNegativeErrno(pread(fd, this.#arena.address + arenaOffset, lengthBytes, position));
  }

  /** Writes `lengthBytes` bytes from `arenaOffset` to `position` of the file. */
  write(fd: number, arenaOffset: number, lengthBytes: number, position: number): number {
    return orNegativeErrno(pwrite(fd, this.#arena.address + arenaOffset, lengthBytes, position));
  }

  /** Reads from `position` on into the ranges of `vector`, in order. */
  readVector(fd: number, vector: IoVector, position: number): number {
    return orNegativeErrno(preadv(fd, this.#vectors.address, this.#vectors.fill(vector), position));
  }

  /** Writes the ranges of `vector`, in order, from `position` on. */
  writeVector(fd: number, vector: IoVector, position: number): number {
    return orNegativeErrno(pwritev(fd, this.#vectors.address, this.#vectors.fill(vector), position));
  }
}

/** Puts a file's data, and what is needed to find it again, on stable storage. Returns 0 or a negative errno; -EIO is told only once. */
export function syncData(fd: number): number {
  return orNegativeErrno(fdatasync(fd));
}

/** Gives a file's range back to the file system; it reads as zeroes from then on. Returns 0 or a negative errno (-EOPNOTSUPP). */
export function punchHole(fd: number, position: number, lengthBytes: number): number {
  return orNegativeErrno(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, position, lengthBytes));
}

/** Tells a block device that a range's content is no longer needed. Returns 0 or a negative errno (-EOPNOTSUPP). */
export function discardBlocks(fd: number, position: number, lengthBytes: number): number {
  const range = Buffer.alloc(16);
  range.writeBigUInt64LE(BigInt(position), 0);
  range.writeBigUInt64LE(BigInt(lengthBytes), 8);
  return orNegativeErrno(ioctl(fd, BLKDISCARD, range));
}

/** Size of a block device in bytes. `path` is for the message. Throws SystemError (ENOTTY when it is none). */
export function blockDeviceSizeBytes(fd: number, path: string): number {
  const size = Buffer.alloc(8);
  orThrow(ioctl(fd, BLKGETSIZE64, size), 'ioctl', `read the size of block device ${path}`);
  return Number(size.readBigUInt64LE(0));
}

/** Locks an open file against other processes until it is closed. Returns 0, or -EAGAIN when another holds it. */
export function lockExclusively(fd: number): number {
  return orNegativeErrno(flock(fd, LOCK_EX | LOCK_NB));
}
