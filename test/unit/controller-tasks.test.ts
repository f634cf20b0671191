import { expect, test } from '@jest/globals';
import { nodeFor } from '../../src/controller/tasks.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const ADDRESSES = Array.from({ length: 16 }, (_, slot) => `e1.${String(slot)}`);

test('nodeFor() takes a node that sees the target, and another one where it is told to', () => {
  const nodes = [nodeRecord('1', ['e1.1']), nodeRecord('2', ['e1.1']), nodeRecord('3', ['e1.2'])];
  const first = nodeFor(targetRecord('e1.1'), nodes);
  expect(['1', '2']).toContain(first);
  expect(nodeFor(targetRecord('e1.1'), nodes, first)).toBe(first === '1' ? '2' : '1');
  expect(nodeFor(targetRecord('e1.3'), nodes)).toBeUndefined();
});

test('nodeFor() takes a node whose interfaces the volume may use, as long as there is one', () => {
  const wired = (nodeId: string, name: string) =>
    nodeRecord(nodeId, [], {
      targets: Object.fromEntries(ADDRESSES.map((address) => [address, sightRecord(address, { interfaces: [name] })])),
    });
  const nodes = [wired('1', 'san0'), wired('2', 'san1'), wired('3', 'san0')];
  const claim = claimRecord({ parameters: { interfaces: 'san1' } });
  for (const address of ADDRESSES) {
    expect(nodeFor(targetRecord(address, { claim }), nodes)).toBe('2');
    expect(nodeFor(targetRecord(address, { claim }), nodes, '2')).toMatch(/1|3/);
  }
});

test('nodeFor() takes a node that sees the target through the most interfaces', () => {
  const wired = (nodeId: string, interfaces: readonly string[]) =>
    nodeRecord(nodeId, [], {
      targets: Object.fromEntries(ADDRESSES.map((address) => [address, sightRecord(address, { interfaces })])),
    });
  const nodes = [wired('1', ['san0']), wired('2', ['san0', 'san1']), wired('3', ['san1']), wired('4', ['san0', 'san1'])];
  const taken = ADDRESSES.map((address) => nodeFor(targetRecord(address), nodes));
  expect(new Set(taken)).toEqual(new Set(['2', '4']));
  for (const address of ADDRESSES) expect(nodeFor(targetRecord(address), nodes.slice(0, 3), '2')).toMatch(/1|3/);
});
