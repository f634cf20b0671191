import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeRecordProblem, targetRecordProblem } from '../../src/volumes/record-check.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const full = targetRecord('e1.1', {
  state: 'Claimed',
  claim: claimRecord({
    labels: { a: 'b' },
    parameters: { x: 'y' },
    fingerprint: { scheme: 1, sha256: 'ab', sizeBytes: 512, nodeId: 'n', takenAtMs: 1 },
  }),
  publications: [{ nodeId: 'n', readOnly: true, accessMode: 'X', epoch: 3 }],
  task: { kind: 'wipe', id: '1', nodeId: 'n', state: 'running', message: '', doneBytes: 1, totalBytes: 2 },
});
const node = nodeRecord('n', [], {
  targets: { 'e1.1': sightRecord('e1.1', { isFencingUnknown: true }) },
  segments: { a: 'b' },
  staged: { 'e1.1': { epoch: 1, fenced: false } },
});

test('targetRecordProblem() and nodeRecordProblem() find nothing in good records, also after JSON', () => {
  for (const record of [full, targetRecord('e1.1')]) {
    expect(targetRecordProblem('e1.1', record)).toBeUndefined();
    expect(targetRecordProblem('e1.1', JSON.parse(JSON.stringify(record)))).toBeUndefined();
  }
  for (const record of [node, nodeRecord('n', ['e1.1'])]) {
    expect(nodeRecordProblem('n', JSON.parse(JSON.stringify(record)))).toBeUndefined();
  }
  expect(targetRecordProblem('e1.1', { ...full, somethingNewer: 1 })).toBeUndefined();
});

type Path = readonly (string | number)[];

/** Every place in a value, deepest last. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [path, ...keys.flatMap((key) => pathsOf((value as Record<string | number, unknown>)[key], [...path, key]))];
}

/** A copy of `value` with what is at `path` replaced. */
function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  const copy: Record<string | number, unknown> = Array.isArray(value)
    ? ([...(value as unknown[])] as never)
    : { ...(value as object) };
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

test.each([
  ['targetRecordProblem()', targetRecordProblem, 'e1.1', full],
  ['nodeRecordProblem()', nodeRecordProblem, 'n', node],
] as const)('%s names the place when any one member is of another type', (_name, problemOf, name, record) => {
  for (const path of pathsOf(record)) {
    // No member may be a function's worth of things: null and a negative fraction fit nowhere.
    for (const wrong of [null, -0.5]) {
      const problem = problemOf(name, replaced(record, path, wrong));
      const last = path.at(-1) ?? 'it';
      expect(problem).toContain(typeof last === 'number' ? `[${last}]` : last);
    }
  }
});

test('targetRecordProblem() refuses what is right in form and wrong in content', () => {
  expect(targetRecordProblem('e1.2', full)).toBe("address is 'e1.1', but the record is named 'e1.2'");
  expect(targetRecordProblem('e1.300', { ...full, address: 'e1.300' })).toBe('address is not a target address');
  expect(targetRecordProblem('e1.1', { ...full, state: 'Free' })).toMatch(/^state is not one of Available, Claimed/);
  expect(targetRecordProblem('e1.1', { ...full, claim: { ...full.claim, claim: 'x' } })).toBe('claim.claim is not a claim');
  expect(targetRecordProblem('e1.1', { ...full, identity: { ...full.identity, sizeBytes: 2 ** 53 } })).toBe(
    'identity.sizeBytes is not a whole number',
  );
});

test('no problem is overlooked by throwing: any JSON is answered', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(typeof targetRecordProblem('x', value)).toBe('string');
      expect(typeof nodeRecordProblem('x', value)).toBe('string');
    }),
    { numRuns: 1_000 },
  );
});
