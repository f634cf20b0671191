import { createHash, randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK_BYTES = 1024 * 1024;
/** One file; many of them, so that the file system has something to do. */
const FILE_BYTES = 20 * CHUNK_BYTES;

/** A file as it was written. */
export interface CheckedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Told after each piece: bytes done so far, of all files. */
export type ByteProgress = (doneBytes: number) => void;

/** Fills files in `folder` with random bytes, `sizeBytes` in all, each made durable by fsync. */
export async function writeFiles(
  folder: string,
  sizeBytes: number,
  progress: ByteProgress,
  signal: AbortSignal,
): Promise<CheckedFile[]> {
  const files: CheckedFile[] = [];
  let doneBytes = 0;
  while (doneBytes < sizeBytes) {
    const path = join(folder, `file-${String(files.length).padStart(2, '0')}`);
    const bytes = Math.min(FILE_BYTES, sizeBytes - doneBytes);
    const before = doneBytes;
    files.push({ path, sizeBytes: bytes, sha256: await writeRandom(path, bytes, (done) => progress(before + done), signal) });
    doneBytes += bytes;
  }
  return files;
}

/** Reads the files again. Returns the paths of those that are not what was written. */
export async function findDamaged(files: readonly CheckedFile[], progress: ByteProgress, signal: AbortSignal): Promise<string[]> {
  const damaged: string[] = [];
  let doneBytes = 0;
  for (const { path, sizeBytes, sha256 } of files) {
    const before = doneBytes;
    const read = await hashFile(path, sizeBytes, (done) => progress((doneBytes = before + done)), signal);
    if (read !== sha256) damaged.push(path);
  }
  return damaged;
}

/** Writes a file of random bytes, makes it durable and returns its checksum. */
export async function writeRandom(path: string, sizeBytes: number, progress: ByteProgress, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await open(path, 'w');
  try {
    for (let done = 0; done < sizeBytes;) {
      signal.throwIfAborted();
      const piece = randomFillSync(chunk.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - done)));
      hash.update(piece);
      await file.writeFile(piece);
      done += piece.length;
      progress(done);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** Checksum of a file's first `sizeBytes`. */
export async function hashFile(path: string, sizeBytes: number, progress: ByteProgress, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < sizeBytes;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK_BYTES, sizeBytes - done));
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      done += bytesRead;
      progress(done);
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
