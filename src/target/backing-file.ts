import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import { EBUSY, EIO, EOPNOTSUPP } from '../system/errno.ts';
import { blockDeviceSizeBytes, discardBlocks, lockExclusively, punchHole, syncData, type FileIo } from '../system/file-io.ts';
import type { Backing } from './backing.ts';

/** The page cache works in these: smaller or unaligned writes make it read first. */
const PAGE_BYTES = 4096;

/** A file or block device that can't be exported. The message says what to do about it. */
export class BackingError extends Error {
  override readonly name = 'BackingError';
}

/** What opening finds out about a file or block device. */
interface Medium {
  readonly fd: number;
  readonly isBlockDevice: boolean;
  readonly canTrim: boolean;
  /** Trims of a block device are cut to whole blocks of this size. */
  readonly blockBytes: number;
}

/**
 * A regular file or a block device. Data goes through the page cache, so that a write is durable after `flush` and not before;
 * one process at a time may export it for writing.
 */
export class FileBacking implements Backing {
  readonly name: string;
  readonly readOnly: boolean;
  readonly canTrim: boolean;
  readonly readZeroAfterTrim: boolean;
  readonly physicalSectorBytes: number;
  readonly #io: FileIo;
  readonly #medium: Medium;
  #sectors: number;

  /**
   * @param io reads and writes for the arena that the target's frames lie in
   * @throws BackingError when the path can't be opened so, is in use or too small
   */
  static open(io: FileIo, path: string, readOnly: boolean): FileBacking {
    const medium = openMedium(path, readOnly);
    try {
      const sizeBytes = sizeOf(medium, path);
      if (sizeBytes < SECTOR_BYTES) {
        throw new BackingError(
          `cannot export ${path}: it holds ${sizeBytes} bytes, less than a sector; make it larger, for example with truncate -s 1G`,
        );
      }
      return new FileBacking(io, path, readOnly, medium, Math.floor(sizeBytes / SECTOR_BYTES));
    } catch (error) {
      closeSync(medium.fd);
      throw error;
    }
  }

  private constructor(io: FileIo, path: string, readOnly: boolean, medium: Medium, sectors: number) {
    this.name = path;
    this.readOnly = readOnly;
    this.canTrim = medium.canTrim;
    // A hole reads as zeros. What a device returns for discarded blocks is its own affair.
    this.readZeroAfterTrim = medium.canTrim && !medium.isBlockDevice;
    this.physicalSectorBytes = Math.max(PAGE_BYTES, medium.blockBytes);
    this.#io = io;
    this.#medium = medium;
    this.#sectors = sectors;
  }

  get sectors(): number {
    return this.#sectors;
  }

  read(lba: number, sectors: number, offset: number): number {
    const lengthBytes = sectors * SECTOR_BYTES;
    let doneBytes = 0;
    while (doneBytes < lengthBytes) {
      const position = lba * SECTOR_BYTES + doneBytes;
      const result = this.#io.read(this.#medium.fd, offset + doneBytes, lengthBytes - doneBytes, position);
      if (result < 0) return result;
      // The file has been cut shorter behind our back: what was there is lost, and zeros would be a lie.
      if (result === 0) return -EIO;
      doneBytes += result;
    }
    return 0;
  }

  write(lba: number, sectors: number, offset: number): number {
    const lengthBytes = sectors * SECTOR_BYTES;
    let doneBytes = 0;
    while (doneBytes < lengthBytes) {
      const position = lba * SECTOR_BYTES + doneBytes;
      const result = this.#io.write(this.#medium.fd, offset + doneBytes, lengthBytes - doneBytes, position);
      if (result < 0) return result;
      if (result === 0) return -EIO;
      doneBytes += result;
    }
    return 0;
  }

  flush(): number {
    return this.readOnly ? 0 : syncData(this.#medium.fd);
  }

  trim(lba: number, sectors: number): number {
    const { fd, isBlockDevice, blockBytes } = this.#medium;
    const start = lba * SECTOR_BYTES;
    const end = start + sectors * SECTOR_BYTES;
    if (!isBlockDevice) return punchHole(fd, start, end - start);
    const firstBlock = Math.ceil(start / blockBytes) * blockBytes;
    const endBlock = Math.floor(end / blockBytes) * blockBytes;
    return endBlock > firstBlock ? discardBlocks(fd, firstBlock, endBlock - firstBlock) : 0;
  }

  refresh(): number {
    try {
      this.#sectors = Math.floor(sizeOf(this.#medium, this.name) / SECTOR_BYTES);
      return 0;
    } catch (error) {
      return -((error as { errno?: number }).errno ?? EIO);
    }
  }

  close(): void {
    closeSync(this.#medium.fd);
  }
}

function sizeOf({ fd, isBlockDevice }: Medium, path: string): number {
  return isBlockDevice ? blockDeviceSizeBytes(fd, path) : fstatSync(fd).size;
}

function openMedium(path: string, readOnly: boolean): Medium {
  const { isBlockDevice, device } = kindOf(path);
  const fd = openPath(path, readOnly, isBlockDevice);
  if (!readOnly && lockExclusively(fd) < 0) {
    closeSync(fd);
    throw new BackingError(
      `cannot export ${path}: another process has locked it; stop that one, or export it read-only (${path},ro)`,
    );
  }
  if (!isBlockDevice) return { fd, isBlockDevice, canTrim: !readOnly && canPunchHoles(fd), blockBytes: SECTOR_BYTES };
  const canTrim = !readOnly && queueLimit(device, 'discard_max_bytes', 0) > 0;
  return { fd, isBlockDevice, canTrim, blockBytes: queueLimit(device, 'logical_block_size', PAGE_BYTES) };
}

function kindOf(path: string): { isBlockDevice: boolean; device: number } {
  try {
    const status = statSync(path);
    if (!status.isFile() && !status.isBlockDevice()) {
      throw new BackingError(`cannot export ${path}: it is neither a file nor a block device`);
    }
    return { isBlockDevice: status.isBlockDevice(), device: status.rdev };
  } catch (error) {
    throw asBackingError(path, error, 'create it first, for example with truncate -s 1G');
  }
}

function openPath(path: string, readOnly: boolean, isBlockDevice: boolean): number {
  // For a block device O_EXCL means: not while it is mounted or otherwise in use.
  const exclusive = isBlockDevice && !readOnly ? constants.O_EXCL : 0;
  try {
    return openSync(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | exclusive);
  } catch (error) {
    const isBusy = (error as { errno?: number }).errno === -EBUSY;
    throw asBackingError(path, error, isBusy ? 'it is mounted or in use on this machine' : `to only read it, write ${path},ro`);
  }
}

function asBackingError(path: string, error: unknown, advice: string): BackingError {
  if (error instanceof BackingError) return error;
  const { code = 'unknown error' } = error as { code?: string };
  return new BackingError(`cannot export ${path}: ${code}; ${advice}`, { cause: error });
}

/** Punches a hole where nothing is, behind the end: it tells whether the file system can. */
function canPunchHoles(fd: number): boolean {
  return punchHole(fd, Math.ceil(fstatSync(fd).size / PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES, PAGE_BYTES) !== -EOPNOTSUPP;
}

/** A limit of a block device's queue from sysfs; a partition has its disk's. */
function queueLimit(device: number, name: string, otherwise: number): number {
  const folder = `/sys/dev/block/${majorOf(device)}:${minorOf(device)}`;
  for (const queue of [`${folder}/queue`, `${folder}/../queue`]) {
    try {
      return Number(readFileSync(`${queue}/${name}`, 'utf8'));
    } catch {
      // The other one, then.
    }
  }
  return otherwise;
}

/** Device numbers as the C library packs them (makedev(3)), below 2^32. */
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}
