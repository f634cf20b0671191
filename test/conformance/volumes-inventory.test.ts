import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { NodeRecord } from '../../src/volumes/records.ts';
import type { Store } from '../../src/volumes/store.ts';
import { takeInventory, type InventoryRound } from '../../src/volumes/take-inventory.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const CLUSTER = 'c';
let laboratory: EmbeddedLaboratory;
let store: Store;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
});
afterEach(async () => laboratory.remove());

async function states(): Promise<Record<string, string>> {
  return Object.fromEntries((await store.targets.list()).map(({ name, value }) => [name, value.state]));
}

async function inventory(...nodes: readonly NodeRecord[]): Promise<InventoryRound> {
  return takeInventory(store.targets, CLUSTER, nodes);
}

test('takeInventory() makes records of what is seen, and then has nothing more to do', async () => {
  const node = nodeRecord('n', ['e1.1', 'e2.1', 'nonsense']);
  expect(await inventory(node)).toEqual({ created: ['e1.1', 'e2.1'], updated: [], failures: [] });
  expect(await states()).toEqual({ 'e1.1': 'Available', 'e2.1': 'Available' });
  expect(await inventory(node)).toEqual({ created: [], updated: [], failures: [] });
});

test('takeInventory() follows targets that go, come back and change hands', async () => {
  const node = nodeRecord('n', ['e1.1', 'e2.1']);
  await inventory(node);
  const taken = nodeRecord('n', [], { targets: { 'e2.1': sightRecord('e2.1', { configString: 'mine' }) } });
  expect((await inventory(taken)).updated).toEqual(['e1.1', 'e2.1']);
  expect(await states()).toEqual({ 'e1.1': 'Missing', 'e2.1': 'Foreign' });
  await inventory(node);
  expect(await states()).toEqual({ 'e1.1': 'Available', 'e2.1': 'Available' });
});

test('takeInventory() changes nothing when no node is alive', async () => {
  await store.targets.create('e1.1', targetRecord('e1.1'));
  await store.targets.create('e1.2', targetRecord('e1.2'));
  expect(await inventory()).toEqual({ created: [], updated: [], failures: [] });
  await inventory(nodeRecord('n', ['e1.2']));
  expect(await states()).toEqual({ 'e1.1': 'Missing', 'e1.2': 'Available' });
});

test('takeInventory() by several controllers at once does each thing once and takes no claim away', async () => {
  const addresses = Array.from({ length: 30 }, (_, index) => `e${index}.1`);
  const node = nodeRecord('n', addresses);
  const others = [store, await laboratory.open(), await laboratory.open()];
  const claim = claimRecord({ confirmed: false });
  const claiming = (async () => {
    for (const address of addresses) {
      const found = await store.targets.get(address);
      if (found !== undefined)
        await store.targets.update(address, found.version, { ...found.value, state: 'Claimed', claim }).catch(() => undefined);
    }
  })();
  const rounds = await Promise.all(others.map(async (each) => takeInventory(each.targets, CLUSTER, [node])));
  await claiming;
  expect(rounds.flatMap(({ created }) => created).toSorted()).toEqual(addresses.toSorted());
  expect(rounds.flatMap(({ failures }) => failures)).toEqual([]);
  for (const { value } of await store.targets.list()) expect(value.state === 'Claimed').toBe(value.claim !== undefined);
});

test('takeInventory() goes on with the others when one record is damaged, and says which', async () => {
  writeFileSync(laboratory.fileOf('e1.2'), 'damaged');
  const round = await inventory(nodeRecord('n', ['e1.1', 'e1.2', 'e1.3']));
  expect(round.created).toEqual(['e1.1', 'e1.3']);
  expect(round.failures).toEqual([expect.stringContaining('e1.2.json')]);
});
