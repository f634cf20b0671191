import { expect, test } from '@jest/globals';
import { capacityRange, grantedBytes, isWithin } from '../../src/volumes/capacity.ts';
import { meetsFencing, weakerFencing } from '../../src/volumes/fencing.ts';
import { FENCING_LEVELS } from '../../src/volumes/records.ts';
import { nodesIn, nodesThatSee, placesOf } from '../../src/volumes/topology.ts';
import { GI, nodeRecord } from '../support/volumes-records.ts';

test('capacityRange() refuses negative, fractional and impossible sizes with the code that CSI has for each', () => {
  expect(capacityRange(GI, 0)).toEqual({ requiredBytes: GI, limitBytes: 0 });
  expect(capacityRange(GI, GI)).toEqual({ requiredBytes: GI, limitBytes: GI });
  expect(() => capacityRange(2 * GI, GI)).toThrow(
    expect.objectContaining({ code: 'out-of-range', message: expect.stringContaining('at least 2Gi and at most 1Gi') }),
  );
  for (const bad of [-1, 0.5, NaN]) {
    expect(() => capacityRange(bad, 0)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => capacityRange(0, bad)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  }
});

test('grantedBytes() gives what is required, else all there is up to the limit', () => {
  expect(grantedBytes({ requiredBytes: GI, limitBytes: 0 }, 10 * GI)).toBe(GI);
  expect(grantedBytes({ requiredBytes: 0, limitBytes: 0 }, 10 * GI)).toBe(10 * GI);
  expect(grantedBytes({ requiredBytes: 0, limitBytes: 3 * GI }, 10 * GI)).toBe(3 * GI);
  expect(grantedBytes({ requiredBytes: 0, limitBytes: 30 * GI }, 10 * GI)).toBe(10 * GI);
});

test('isWithin() compares a volume that is there with what is asked for', () => {
  const range = { requiredBytes: 2, limitBytes: 4 };
  expect([1, 2, 4, 5].map((size) => isWithin(range, size))).toEqual([false, true, true, false]);
  expect(isWithin({ requiredBytes: 0, limitBytes: 0 }, 0)).toBe(true);
});

test('meetsFencing() and weakerFencing() know the order of the levels', () => {
  FENCING_LEVELS.forEach((level, at) =>
    FENCING_LEVELS.forEach((minimum, than) => {
      expect(meetsFencing(level, minimum)).toBe(at <= than);
      expect(weakerFencing(level, minimum)).toBe(FENCING_LEVELS[Math.max(at, than)]);
    }),
  );
});

test('nodesIn() wants every key of a term, and no more where there are such nodes, and placesOf() names each place once from which the interfaces reach', () => {
  const a = { san: 'a', rack: '1' };
  const nodes = [
    nodeRecord('1', ['e1.1'], { segments: a }),
    nodeRecord('2', ['e1.1'], { segments: { rack: '1', san: 'a' } }),
    nodeRecord('3', ['e1.1', 'e1.2'], { segments: { san: 'b' } }),
    nodeRecord('4', ['e1.1']),
  ];
  const idsIn = (term: Readonly<Record<string, string>>) => nodesIn(nodes, term).map(({ nodeId }) => nodeId);
  expect(idsIn({ san: 'a' })).toEqual(['1', '2']);
  expect(idsIn({ san: 'a', zone: 'z' })).toEqual([]);
  expect(idsIn({ rack: '1' })).toEqual(['1', '2']);
  expect(nodesIn([...nodes, nodeRecord('5', [], { segments: { rack: '1' } })], { rack: '1' })).toMatchObject([{ nodeId: '5' }]);
  expect(placesOf(nodesThatSee('e1.1', nodes, []))).toEqual([a, { san: 'b' }]);
  expect(placesOf(nodesThatSee('e1.2', nodes, []))).toEqual([{ san: 'b' }]);
  expect(placesOf(nodesThatSee('e1.3', nodes, []))).toEqual([]);
  const sight = nodes[2].targets['e1.1'];
  const wired = { ...nodes[2], targets: { 'e1.1': { ...sight, interfaces: ['san1'] } } };
  expect(placesOf(nodesThatSee('e1.1', [...nodes, wired], ['san1']))).toEqual([{ san: 'b' }]);
  expect(placesOf(nodesThatSee('e1.1', nodes, ['none*']))).toEqual([]);
});
