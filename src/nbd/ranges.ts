import { CHUNK_BYTES, type ChunkPool } from '../buffers/chunk-pool.ts';
import type { IoVector } from '../buffers/io-vector.ts';

/** Appends a range, joined to the last one where they touch; false when the vector has no room. */
export function pushRange(vector: IoVector, offset: number, lengthBytes: number): boolean {
  const last = vector.count - 1;
  if (last >= 0 && vector.offsets[last] + vector.lengths[last] === offset) {
    vector.lengths[last] += lengthBytes;
    vector.sizeBytes += lengthBytes;
    return true;
  }
  if (vector.full) return false;
  vector.push(offset, lengthBytes);
  return true;
}

/** Appends the bytes `[from, to)` of a chain, as far as the vector has room; false when not all of them fitted. */
export function pushChain(vector: IoVector, chunks: ChunkPool, chain: number, from: number, to: number): boolean {
  let chunk = chunkAt(chunks, chain, from);
  let position = from;
  while (position < to) {
    const inChunk = position % CHUNK_BYTES;
    const lengthBytes = Math.min(CHUNK_BYTES - inChunk, to - position);
    if (!pushRange(vector, chunks.offset(chunk) + inChunk, lengthBytes)) return false;
    position += lengthBytes;
    chunk = chunks.next(chunk);
  }
  return true;
}

/** The chunk that holds byte `position` of a chain. A walk, but of few steps: the largest payload has 512 chunks. */
function chunkAt(chunks: ChunkPool, chain: number, position: number): number {
  let chunk = chain;
  for (let skipped = CHUNK_BYTES; skipped <= position; skipped += CHUNK_BYTES) chunk = chunks.next(chunk);
  return chunk;
}
