import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fingerprintOf, isComparable, FINGERPRINT_SCHEME } from '../../src/node/format/fingerprint.ts';
import { probedRanges } from '../../src/node/format/places.ts';

const MIB = 2 ** 20;
const SECTOR_BYTES = 512;

/** A disk that holds zeros but for some sectors. */
async function fingerprint(sizeBytes: number, written: ReadonlyMap<number, number> = new Map()) {
  return fingerprintOf(sizeBytes, ({ startBytes, lengthBytes }) => {
    const bytes = new Uint8Array(lengthBytes);
    for (const [at, value] of written) if (at >= startBytes && at < startBytes + lengthBytes) bytes[at - startBytes] = value;
    return Promise.resolve(bytes);
  });
}

/** Sectors of a disk as small as a sector and as large as 16 PiB. */
const sizes = fc
  .oneof(fc.integer({ min: 1, max: 2 ** 13 }), fc.integer({ min: 1, max: 2 ** 45 }))
  .map((sectors) => sectors * SECTOR_BYTES);

test('fingerprintOf() stays what it is as long as its scheme has the same number', async () => {
  expect(FINGERPRINT_SCHEME).toBe(1);
  const written = new Map([0, 1024, 64 * 1024, 8 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB - 1].map((at, index) => [at, index + 1]));
  expect(await fingerprint(1024 * MIB, written)).toEqual({
    scheme: 1,
    sha256: 'f300f2a8810d5b77831ef756013a94411bd0810209057c4f91e0819b0561d7f0',
    sizeBytes: 1024 * MIB,
  });
});

test('fingerprintOf() differs when any byte differs at a place that is looked at', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (sizeBytes, which, offset, value) => {
      const ranges = probedRanges(sizeBytes);
      const { startBytes, lengthBytes } = ranges[which % ranges.length];
      const changed = await fingerprint(sizeBytes, new Map([[startBytes + (offset % lengthBytes), value]]));
      expect(changed.sha256).not.toBe((await fingerprint(sizeBytes)).sha256);
    }),
    { numRuns: 40 },
  );
});

test('fingerprintOf() reads whole sectors within the size, in ascending order, and not much', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async (sizeBytes) => {
      let endBytes = 0;
      let sumBytes = 0;
      await fingerprintOf(sizeBytes, ({ startBytes, lengthBytes }) => {
        expect([startBytes % SECTOR_BYTES, lengthBytes % SECTOR_BYTES]).toEqual([0, 0]);
        expect(startBytes).toBeGreaterThanOrEqual(endBytes);
        endBytes = startBytes + lengthBytes;
        sumBytes += lengthBytes;
        return Promise.resolve(new Uint8Array(0));
      });
      expect(endBytes).toBe(sizeBytes);
      expect(sumBytes).toBeLessThanOrEqual(4 * MIB);
    }),
  );
});

test('isComparable() is false for what is unknown, and for what a version with another scheme has taken', () => {
  const taken = { scheme: FINGERPRINT_SCHEME, sha256: '', sizeBytes: 512, nodeId: 'n', takenAtMs: 0 };
  expect([isComparable(taken), isComparable({ ...taken, scheme: 2 }), isComparable(undefined)]).toEqual([true, false, false]);
});
