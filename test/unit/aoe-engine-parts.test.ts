import { describe, expect, test } from '@jest/globals';
import { COPIES_MAX, RTO_CEILING_US, RTO_FLOOR_US, RTO_INITIAL_US, WINDOW_START } from '../../src/aoe/limits.ts';
import { COPY_IN_FLIGHT, Copies, NO_COPY, tagFilterValue, TAG_PREFIX_BITS } from '../../src/aoe/copies.ts';
import { LateWrites } from '../../src/aoe/late-writes.ts';
import { RoundTrip } from '../../src/aoe/round-trip.ts';
import { Target } from '../../src/aoe/target.ts';
import { Window } from '../../src/aoe/window.ts';

describe('RoundTrip', () => {
  test('timeoutUs is at most a second when nothing has been measured', () => {
    expect(new RoundTrip().timeoutUs).toBe(RTO_INITIAL_US);
    expect(RTO_INITIAL_US).toBeLessThanOrEqual(1_000_000);
  });

  test('timeoutUs is the floor when answers come at once', () => {
    const roundTrip = new RoundTrip();
    for (let count = 0; count < 20; count++) roundTrip.sample(100);
    expect(roundTrip.timeoutUs).toBe(RTO_FLOOR_US);
  });

  test('timeoutUs follows mean and variation when answers are slow', () => {
    const roundTrip = new RoundTrip();
    roundTrip.sample(100_000);
    expect(roundTrip.timeoutUs).toBe(100_000 + 4 * 50_000);
    for (let count = 0; count < 100; count++) roundTrip.sample(100_000);
    expect(roundTrip.timeoutUs).toBeCloseTo(100_000, -2);
  });

  test('sample() ends a silence', () => {
    const roundTrip = new RoundTrip();
    roundTrip.silences = 3;
    roundTrip.sample(100);
    expect(roundTrip.silences).toBe(0);
  });

  test('timeoutUs is at most the ceiling when answers take for ever', () => {
    const roundTrip = new RoundTrip();
    roundTrip.sample(60_000_000);
    expect(roundTrip.timeoutUs).toBe(RTO_CEILING_US);
  });
});

describe('Window', () => {
  test('answered() opens it frame by frame up to the limit', () => {
    const window = new Window();
    window.setLimit(32);
    expect(window.size).toBe(WINDOW_START);
    for (let count = 0; count < 10; count++) window.answered();
    expect(window.size).toBe(WINDOW_START + 10);
    for (let count = 0; count < 100; count++) window.answered();
    expect(window.size).toBe(32);
  });

  test('lost() halves it, and it grows by one per window from there', () => {
    const window = new Window();
    window.setLimit(64);
    for (let count = 0; count < 56; count++) window.answered();
    window.lost();
    expect(window.size).toBe(32);
    for (let count = 0; count < 32; count++) window.answered();
    expect(window.size).toBe(33);
  });

  test('timedOut() closes it to one frame, and it comes back quickly to half of what it was', () => {
    const window = new Window();
    window.setLimit(64);
    for (let count = 0; count < 56; count++) window.answered();
    window.timedOut(64);
    expect(window.size).toBe(1);
    for (let count = 0; count < 31; count++) window.answered();
    expect(window.size).toBe(32);
    window.answered();
    expect(window.size).toBe(32);
  });

  test('setLimit() allows one frame when a target says that it buffers none', () => {
    const window = new Window();
    window.setLimit(0);
    expect(window.size).toBe(1);
    window.lost();
    window.timedOut(1);
    expect(window.size).toBe(1);
  });
});

describe('Copies', () => {
  test('take() gives tags with bit 31 and the prefix', () => {
    const copies = new Copies(0b101101, 0x1234);
    const tag = copies.tag[copies.take()] >>> 0;
    expect(tag >>> (32 - TAG_PREFIX_BITS)).toBe(tagFilterValue(0b101101));
    expect(tag & 0x1ff_ffff).toBe(0x1235);
  });

  test('find() knows a tag only while it is in use', () => {
    const copies = new Copies(1, 0);
    const copy = copies.take();
    const tag = copies.tag[copy];
    copies.state[copy] = COPY_IN_FLIGHT;
    expect(copies.find(tag)).toBe(copy);
    expect(copies.find(tag + copies.capacity)).toBe(NO_COPY);
    copies.free(copy);
    expect(copies.find(tag)).toBe(NO_COPY);
  });

  test('take() skips places in use and never gives a tag twice when the table goes round', () => {
    const copies = new Copies(3, 0xffff_ffff, 8);
    const seen = new Set<number>();
    const kept = copies.take();
    copies.state[kept] = COPY_IN_FLIGHT;
    seen.add(copies.tag[kept]);
    for (let count = 0; count < 100; count++) {
      const copy = copies.take();
      expect(copy).not.toBe(kept);
      expect(seen.has(copies.tag[copy])).toBe(false);
      seen.add(copies.tag[copy]);
      copies.state[copy] = COPY_IN_FLIGHT;
      copies.free(copy);
    }
    expect(copies.find(copies.tag[kept])).toBe(kept);
  });

  test('take() refuses when all are in use but the spare ones', () => {
    const copies = new Copies(0, 0, 16);
    const take = (spare: number): number => {
      const copy = copies.take(spare);
      if (copy !== NO_COPY) copies.state[copy] = COPY_IN_FLIGHT;
      return copy;
    };
    while (take(4) !== NO_COPY) expect(copies.used).toBeLessThanOrEqual(11);
    expect(copies.used).toBe(11);
    expect(take(0)).not.toBe(NO_COPY);
    while (take(0) !== NO_COPY) expect(copies.used).toBeLessThanOrEqual(15);
    expect(copies.used).toBe(15);
  });

  test('Copies has room for a power of two, so that a tag names its place', () => {
    expect(Math.log2(COPIES_MAX) % 1).toBe(0);
  });
});

describe('LateWrites', () => {
  function lateWrites(): {
    late: LateWrites;
    copies: Copies;
    target: Target;
    add: (lba: number, sectors: number, nowUs: number) => number;
  } {
    const copies = new Copies(0, 0, 64);
    const late = new LateWrites(copies, 1_000);
    const target = new Target(10, 3);
    const add = (lba: number, sectors: number, nowUs: number): number => {
      const copy = copies.take();
      late.add(target, copy, lba, sectors, nowUs);
      return copy;
    };
    return { late, copies, target, add };
  }

  test('overlaps() is true for any common sector and for nothing beside them', () => {
    const { late, target, add } = lateWrites();
    add(100, 8, 0);
    expect(late.overlaps(target, 92, 8)).toBe(false);
    expect(late.overlaps(target, 92, 9)).toBe(true);
    expect(late.overlaps(target, 103, 1)).toBe(true);
    expect(late.overlaps(target, 107, 50)).toBe(true);
    expect(late.overlaps(target, 108, 50)).toBe(false);
    expect(late.overlaps(target, 0, 1_000)).toBe(true);
  });

  test('expire() forgets copies in the order in which their quarantine ends', () => {
    const { late, copies, target, add } = lateWrites();
    add(0, 1, 0);
    add(1, 1, 500);
    expect(late.nextUs(target)).toBe(1_000);
    expect(late.expire(target, 999)).toBe(false);
    expect(late.expire(target, 1_000)).toBe(true);
    expect(late.overlaps(target, 0, 1)).toBe(false);
    expect(late.overlaps(target, 1, 1)).toBe(true);
    expect(late.expire(target, 1_500)).toBe(true);
    expect(target.lateCount).toBe(0);
    expect(late.nextUs(target)).toBe(Infinity);
    expect(copies.used).toBe(0);
  });

  test('answered() takes a copy out of the middle', () => {
    const { late, target, add } = lateWrites();
    add(0, 1, 0);
    const middle = add(1, 1, 0);
    add(2, 1, 0);
    late.answered(target, middle);
    expect([0, 1, 2].map((lba) => late.overlaps(target, lba, 1))).toEqual([true, false, true]);
    late.expire(target, 5_000);
    expect(target.lateCount).toBe(0);
  });
});
