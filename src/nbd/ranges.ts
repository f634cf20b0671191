import type { Arena } from '../buffers/arena.ts';
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

/** Copies `[source, source + lengthBytes)` of the arena into a chain, from its byte `to` on. */
export function copyIntoChain(
  arena: Arena,
  chunks: ChunkPool,
  chain: number,
  to: number,
  source: number,
  lengthBytes: number,
): void {
  let chunk = chunkAt(chunks, chain, to);
  let copied = 0;
  while (copied < lengthBytes) {
    const inChunk = (to + copied) % CHUNK_BYTES;
    const pieceBytes = Math.min(CHUNK_BYTES - inChunk, lengthBytes - copied);
    arena.bytes.copyWithin(chunks.offset(chunk) + inChunk, source + copied, source + copied + pieceBytes);
    copied += pieceBytes;
    chunk = chunks.next(chunk);
  }
}

/** The chunk that holds byte `position` of a chain. A walk, but of few steps: the largest payload has 512 chunks. */
function chunkAt(chunks: ChunkPool, chain: number, position: number): number {
  let chunk = chain;
  for (let skipped = CHUNK_BYTES; skipped <= position; skipped += CHUNK_BYTES) chunk = chunks.next(chunk);
  return chunk;
}
