import { describe, expect, test } from '@jest/globals';
import { CHUNK_BYTES, ChunkPool, NO_CHUNK } from '../../src/buffers/chunk-pool.ts';
import { ChunkFloors } from '../../src/nbd/chunk-floors.ts';
import { ChunkShare } from '../../src/nbd/chunk-share.ts';

const CAPACITY = 1_024;
const FLOOR = 20;
const COMMON = 256;

/** Sessions as a data path of the usual size has them. */
class Sharing {
  readonly pool = new ChunkPool(0, CAPACITY);
  readonly floors = new ChunkFloors(CAPACITY, FLOOR, COMMON);

  open(): ChunkShare {
    return new ChunkShare(this.pool, COMMON, this.floors);
  }

  /** A session whose device answers nothing: it takes requests of `chunks`, then small ones, until it gets no more, and holds that. */
  fill(share: ChunkShare, chunks = 16): number {
    for (const size of [chunks, 1]) while (share.allocate(size * CHUNK_BYTES) !== NO_CHUNK);
    return share.held;
  }

  /** Whether a session that holds nothing gets so much. */
  serves(share: ChunkShare, chunks: number): boolean {
    const chain = share.allocate(chunks * CHUNK_BYTES);
    share.release(chain, chunks * CHUNK_BYTES);
    return chain !== NO_CHUNK;
  }
}

describe('ChunkFloors', () => {
  test('one session alone may hold a quarter of the pool, in requests of any size', () => {
    for (const chunks of [1, 16, COMMON]) {
      const sharing = new Sharing();
      expect(sharing.fill(sharing.open(), chunks)).toBe(COMMON);
    }
  });

  test('allows() every other session its floor when as many as there is memory for hold all they can get', () => {
    const sharing = new Sharing();
    const silent = Array.from({ length: 37 }, () => sharing.open());
    for (const share of silent) sharing.fill(share);
    const other = sharing.open();
    expect(sharing.serves(other, FLOOR)).toBe(true);
    expect(sharing.serves(other, FLOOR + 1)).toBe(false);
  });

  test('allows() a floor to sessions that come later, too', () => {
    const sharing = new Sharing();
    for (let count = 0; count < 37; count++) sharing.fill(sharing.open());
    expect(sharing.fill(sharing.open(), 1)).toBe(FLOOR);
  });

  test('floors get smaller with more sessions, and no request waits for ever while nobody holds anything', () => {
    const sharing = new Sharing();
    const shares = Array.from({ length: 256 }, () => sharing.open());
    expect(sharing.floors.floor).toBe(3);
    for (const share of shares) expect(sharing.serves(share, COMMON)).toBe(true);
    for (const share of shares.slice(1)) sharing.fill(share);
    expect(sharing.serves(shares[0], 3)).toBe(true);
    for (const share of shares.slice(38)) share.close();
    expect(sharing.floors.floor).toBe(FLOOR);
  });

  test('what is given back is there for others, whether its session has closed or not', () => {
    const sharing = new Sharing();
    const [first, second] = [sharing.open(), sharing.open()];
    const chain = first.allocate(COMMON * CHUNK_BYTES);
    expect(sharing.serves(second, COMMON)).toBe(false);
    first.release(chain, COMMON * CHUNK_BYTES);
    expect(sharing.serves(second, COMMON)).toBe(true);
    const late = first.allocate(COMMON * CHUNK_BYTES);
    first.close();
    expect(sharing.serves(second, COMMON)).toBe(true);
    first.release(late, COMMON * CHUNK_BYTES);
    expect([sharing.fill(second), sharing.pool.free]).toEqual([COMMON, CAPACITY - COMMON]);
  });
});
