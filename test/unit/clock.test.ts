import { expect, test } from '@jest/globals';
import { nowUs } from '../../src/time/clock.ts';

test('nowUs() never goes back and counts whole microseconds when read many times', () => {
  const firstUs = nowUs();
  let lastUs = firstUs;
  for (let reading = 0; reading < 100_000; reading++) {
    const readUs = nowUs();
    expect(readUs >= lastUs && Number.isSafeInteger(readUs)).toBe(true);
    lastUs = readUs;
  }
  expect(lastUs).toBeGreaterThan(firstUs);
});
