import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { NODE_SILENT_MS } from '../../src/volumes/liveness.ts';
import type { Store } from '../../src/volumes/store.ts';
import { takeInventory } from '../../src/volumes/take-inventory.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const CLUSTER = 'c';
const NOW = 1e12;
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

/** A node that lives now and sees this. */
const alive = (nodeId: string, addresses: readonly string[]) => nodeRecord(nodeId, addresses, { aliveAtMs: NOW });

test('takeInventory() makes records of what is seen, and then has nothing more to do', async () => {
  await store.nodes.create('n', alive('n', ['e1.1', 'e2.1', 'nonsense']));
  expect(await takeInventory(store, CLUSTER, NOW)).toEqual({ created: ['e1.1', 'e2.1'], updated: [], failures: [] });
  expect(await states()).toEqual({ 'e1.1': 'Available', 'e2.1': 'Available' });
  expect(await takeInventory(store, CLUSTER, NOW)).toEqual({ created: [], updated: [], failures: [] });
});

test('takeInventory() follows targets that go, come back and change hands', async () => {
  const { version } = await store.nodes.create('n', alive('n', ['e1.1', 'e2.1']));
  await takeInventory(store, CLUSTER, NOW);
  const taken = { ...alive('n', []), targets: { 'e2.1': sightRecord('e2.1', { configString: 'mine' }) } };
  const next = await store.nodes.update('n', version, taken);
  expect((await takeInventory(store, CLUSTER, NOW)).updated).toEqual(['e1.1', 'e2.1']);
  expect(await states()).toEqual({ 'e1.1': 'Missing', 'e2.1': 'Foreign' });
  await store.nodes.update('n', next.version, alive('n', ['e1.1', 'e2.1']));
  await takeInventory(store, CLUSTER, NOW);
  expect(await states()).toEqual({ 'e1.1': 'Available', 'e2.1': 'Available' });
});

test('takeInventory() believes no silent node, and changes nothing when all are silent', async () => {
  await store.nodes.create('old', nodeRecord('old', ['e1.1'], { aliveAtMs: NOW - NODE_SILENT_MS }));
  await store.targets.create('e1.1', targetRecord('e1.1'));
  await store.targets.create('e1.2', targetRecord('e1.2'));
  expect(await takeInventory(store, CLUSTER, NOW)).toEqual({ created: [], updated: [], failures: [] });
  await store.nodes.create('n', alive('n', ['e1.2']));
  await takeInventory(store, CLUSTER, NOW);
  expect(await states()).toEqual({ 'e1.1': 'Missing', 'e1.2': 'Available' });
});

test('takeInventory() by several controllers at once does each thing once and takes no claim away', async () => {
  const addresses = Array.from({ length: 30 }, (_, index) => `e${index}.1`);
  await store.nodes.create('n', alive('n', addresses));
  const others = [store, await laboratory.open(), await laboratory.open()];
  const claim = claimRecord({ confirmed: false });
  const claiming = (async () => {
    for (const address of addresses) {
      const found = await store.targets.get(address);
      if (found !== undefined)
        await store.targets.update(address, found.version, { ...found.value, state: 'Claimed', claim }).catch(() => undefined);
    }
  })();
  const rounds = await Promise.all(others.map(async (each) => takeInventory(each, CLUSTER, NOW)));
  await claiming;
  expect(rounds.flatMap(({ created }) => created).toSorted()).toEqual(addresses.toSorted());
  expect(rounds.flatMap(({ failures }) => failures)).toEqual([]);
  for (const { value } of await store.targets.list()) expect(value.state === 'Claimed').toBe(value.claim !== undefined);
});

test('takeInventory() goes on with the others when one record is damaged, and says which', async () => {
  await store.nodes.create('n', alive('n', ['e1.1', 'e1.2', 'e1.3']));
  writeFileSync(laboratory.fileOf('e1.2'), 'damaged');
  const round = await takeInventory(store, CLUSTER, NOW);
  expect(round.created).toEqual(['e1.1', 'e1.3']);
  expect(round.failures).toEqual([expect.stringContaining('e1.2.json')]);
});
