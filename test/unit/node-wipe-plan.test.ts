import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { headerRanges, probedRanges, type Range } from '../../src/node/format/places.ts';
import { planBytes, remainingSteps, wipePlan, type WipeStep } from '../../src/node/tasks/wipe-plan.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
const sizes = fc.integer({ min: 1, max: 2 ** 34 }).map((sectors) => sectors * 512);

/** Whether a byte is in one of the ranges. */
function covers(ranges: readonly Range[], byte: number): boolean {
  return ranges.some(({ startBytes, lengthBytes }) => byte >= startBytes && byte < startBytes + lengthBytes);
}

describe('probedRanges()', () => {
  test('covers head, tail and the copies of superblocks', () => {
    const ranges = probedRanges(4 * TIB);
    const marks = [0, 510, 1024, 4096, 65_536, 128 * MIB, 64 * MIB, 256 * GIB, 4 * TIB - 512, 4 * TIB - 65_536];
    for (const byte of marks) expect(covers(ranges, byte)).toBe(true);
    expect(covers(ranges, 32 * MIB)).toBe(false);
  });

  test('is all of a small disk', () => {
    expect(probedRanges(512)).toEqual([{ startBytes: 0, lengthBytes: 512 }]);
    expect(probedRanges(2 * MIB)).toEqual([{ startBytes: 0, lengthBytes: 2 * MIB }]);
  });

  test('stays within the disk, in order and without overlap, at whole sectors', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        for (const ranges of [probedRanges(size), headerRanges(size)]) {
          let end = 0;
          for (const { startBytes, lengthBytes } of ranges) {
            expect(startBytes).toBeGreaterThanOrEqual(end);
            expect([startBytes % 512, lengthBytes % 512]).toEqual([0, 0]);
            expect(lengthBytes).toBeGreaterThan(0);
            end = startBytes + lengthBytes;
          }
          expect(end).toBe(size);
        }
      }),
    );
  });
});

describe('headerRanges()', () => {
  test('covers all that is probed', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const wiped = headerRanges(size);
        for (const { startBytes, lengthBytes } of probedRanges(size)) {
          for (const byte of [startBytes, startBytes + lengthBytes - 1]) expect(covers(wiped, byte)).toBe(true);
        }
      }),
    );
  });
});

describe('wipePlan()', () => {
  test('does nothing, the headers, everything, or everything and the headers', () => {
    expect(wipePlan('none', TIB)).toEqual([]);
    expect(planBytes(wipePlan('headers', TIB))).toBe(32 * MIB + 7 * 65_536);
    expect(planBytes(wipePlan('zero', TIB))).toBe(TIB);
    const discard = wipePlan('discard', TIB);
    expect(planBytes(discard)).toBe(TIB + planBytes(wipePlan('headers', TIB)));
    expect(new Set(wipePlan('zero', TIB).map(({ action }) => action))).toEqual(new Set(['zero']));
    expect(discard.at(-1)?.action).toBe('zero');
  });

  test('goes on after any number of steps and leaves nothing out', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.constantFrom('headers', 'zero', 'discard'), (size, stop, policy) => {
        const plan = wipePlan(policy, Math.min(size, 64 * GIB));
        const done: WipeStep[] = plan.slice(0, stop % (plan.length + 1));
        expect([...done, ...remainingSteps(plan, planBytes(done))]).toEqual(plan);
      }),
    );
  });
});
