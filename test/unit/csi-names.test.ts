import { describe, expect, test } from '@jest/globals';
import { DEFAULT_DRIVER_NAME, isDriverName } from '../../src/csi/driver-name.ts';
import { socketPathOf } from '../../src/csi/endpoint.ts';
import { requestIds } from '../../src/csi/request-ids.ts';

describe('isDriverName()', () => {
  test.each([DEFAULT_DRIVER_NAME, 'a.b', 'aoe-2.example.org', `a${'b'.repeat(62)}`])('takes %s', (name) => {
    expect(isDriverName(name)).toBe(true);
  });

  test.each(['', 'a', '1aoe.dev', 'aoe.dev1', '.aoe', 'aoe.', 'a..b', 'a_b', 'aoe/dev', 'aöe.dev', `a${'b'.repeat(63)}`])(
    'refuses %j',
    (name) => {
      expect(isDriverName(name)).toBe(false);
    },
  );
});

describe('socketPathOf()', () => {
  test.each(['unix:///run/csi/csi.sock', 'unix:/run/csi/csi.sock', '/run/csi/csi.sock'])('finds the path in %s', (endpoint) => {
    expect(socketPathOf(endpoint)).toBe('/run/csi/csi.sock');
  });

  test.each([
    ['tcp://0.0.0.0:10000', 'only unix sockets'],
    ['unix://csi.sock', 'absolute path'],
    ['', 'absolute path'],
    ['unix:///run/csi/csi', 'must end in .sock'],
    [`unix:///${'p'.repeat(120)}.sock`, 'more than 107 bytes'],
  ])('refuses %s and says what an endpoint looks like', (endpoint, reason) => {
    expect(() => socketPathOf(endpoint)).toThrow(reason);
    expect(() => socketPathOf(endpoint)).toThrow('unix:///run/csi/csi.sock');
  });
});

test('requestIds() gives no id twice', () => {
  const ids = [requestIds(), requestIds()].flatMap((next) => [next(), next(), next()]);
  expect(new Set(ids).size).toBe(6);
});
