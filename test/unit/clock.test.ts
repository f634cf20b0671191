import { expect, test } from '@jest/globals';
import { nowUs } from '../../src/time/clock.ts';

test('nowUs() never goes back and counts whole microseconds when read many times', () => {
  const firstUs = nowUs();
  let lastUs = firstUs;
  let faults = 0;
  for (let reading = 0; reading < 100_000; reading++) {
    const readUs = nowUs();
    if (readUs < lastUs || !Number.isSafeInteger(readUs)) faults++;
    lastUs = readUs;
  }
  expect(faults).toBe(0);
  expect(lastUs).toBeGreaterThan(firstUs);
});
