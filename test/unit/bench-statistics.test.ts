import { describe, expect, test } from '@jest/globals';
import { pairedRatios, summarize } from '../../bench/support/statistics.ts';
import { formatNumber, formatTable } from '../../bench/support/table.ts';

describe('summarize()', () => {
  test('summarize() takes the middle sample when their number is odd', () => {
    expect(summarize([9, 1, 5])).toEqual({ median: 5, low: 1, high: 9 });
  });

  test('summarize() takes the mean of the two in the middle when their number is even', () => {
    expect(summarize([10, 1, 2, 4])).toEqual({ median: 3, low: 1, high: 10 });
  });

  test('summarize() throws when there is no sample', () => {
    expect(() => summarize([])).toThrow('no samples');
  });
});

describe('pairedRatios()', () => {
  test('pairedRatios() divides round by round when both sides have a sample', () => {
    expect(pairedRatios([2, 9], [1, 3])).toEqual([2, 3]);
  });

  test('pairedRatios() leaves a round out when one side lacks it', () => {
    expect(pairedRatios([2, undefined, 4], [1, 3, undefined])).toEqual([2]);
  });
});

describe('formatNumber()', () => {
  test.each([
    [0, '0'],
    [0.8666, '0.867'],
    [14.62, '14.6'],
    [712.3, '712'],
    [1540.4, '1 540'],
    [290_165, '290 165'],
    [10_000_000, '10 000 000'],
  ])('formatNumber() keeps three digits and groups thousands when given %p', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });
});

describe('formatTable()', () => {
  test('formatTable() aligns numbers to the right when columns differ in width', () => {
    expect(
      formatTable(
        ['MTU', 'ours'],
        [
          ['read', '1'],
          ['write', '1 000'],
        ],
      ),
    ).toBe('| MTU   |  ours |\n| ----- | ----: |\n| read  |     1 |\n| write | 1 000 |');
  });
});
