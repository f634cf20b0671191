import { expect, test } from '@jest/globals';
import { SharedSights } from '../../src/kubernetes/shared-sights.ts';
import type { NodeRecord } from '../../src/volumes/records.ts';
import { nodeRecord } from '../support/volumes-records.ts';

test('records are the same when their sights are shared, and what two nodes say of a target is one object if it is the same', () => {
  const read = (nodeId: string, addresses: readonly string[]): NodeRecord =>
    JSON.parse(JSON.stringify(nodeRecord(nodeId, addresses))) as NodeRecord;
  const sights = new SharedSights();
  const first = sights.shared(read('node-1', ['e1.0', 'e1.1']));
  const other = read('node-2', ['e1.0', 'e1.1']);
  const changed = { ...other, targets: { ...other.targets, 'e1.1': { ...other.targets['e1.1'], configString: 'another' } } };
  const second = sights.shared(changed);
  expect(first).toEqual(read('node-1', ['e1.0', 'e1.1']));
  expect(second).toEqual(changed);
  expect(second.targets['e1.0']).toBe(first.targets['e1.0']);
  expect(second.targets['e1.1']).not.toBe(first.targets['e1.1']);
});
