import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { objectNameOf, recordNameOf } from '../../src/kubernetes/object-names.ts';

test.each([
  ['e10.3', 'e10.3'],
  ['worker-1.example.org', 'worker-1.example.org'],
  ['10.0.0.1', '10.0.0.1'],
  ['Node_7', 'x--4e6f64655f37'],
  ['x--41', 'x--782d2d3431'],
  ['-a', 'x--2d61'],
  ['a..b', 'x--612e2e62'],
])('objectNameOf() writes %s as %s', (name, objectName) => {
  expect(objectNameOf(name)).toBe(objectName);
  expect(recordNameOf(objectName)).toBe(name);
});

test('objectNameOf() and recordNameOf() refuse what is no name', () => {
  for (const name of ['', 'A'.repeat(126), 'a'.repeat(254), '\ud800']) expect(objectNameOf(name)).toBeUndefined();
  for (const objectName of ['x--', 'x--61', 'x--4', 'x--4E', 'x--zz', 'A']) expect(recordNameOf(objectName)).toBeUndefined();
});

test('recordNameOf() finds every name again, and no two names have one object', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (name) => {
      const objectName = objectNameOf(name);
      return objectName === undefined || recordNameOf(objectName) === name;
    }),
    { numRuns: 2_000 },
  );
});
