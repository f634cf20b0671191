import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DepartedNodes } from '../../src/controller/departed-nodes.ts';
import { Logger } from '../../src/logging/logger.ts';
import { Liveness, NODE_SILENT_MS } from '../../src/volumes/liveness.ts';
import type { Store } from '../../src/volumes/store.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { nodeRecord, targetRecord } from '../support/volumes-records.ts';

const LATER_MS = 300_000;

let laboratory: EmbeddedLaboratory;
let store: Store;
let gone: Set<string>;
let asked: string[];
let departed: DepartedNodes;
let steadyMs: number;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  const directory = await laboratory.open();
  [gone, asked, steadyMs] = [new Set(), [], 0];
  store = {
    targets: directory.targets,
    nodes: directory.nodes,
    tasksAt: (nodeId) => directory.tasksAt(nodeId),
    isGone: async (nodeId) => {
      asked.push(nodeId);
      return Promise.resolve(gone.has(nodeId));
    },
    close: async () => directory.close(),
  };
  const parts = { store, clusterId: 'c', nowMs: () => Date.now(), liveness: new Liveness(), logger: Logger.create('silent') };
  departed = new DepartedNodes(parts, () => steadyMs);
});

afterEach(async () => laboratory.remove());

const names = async (): Promise<string[]> => (await store.nodes.list()).map(({ name }) => name);
const silent = { aliveAtMs: Date.now() - NODE_SILENT_MS - 1 };

describe('round()', () => {
  test('forgets a silent node that the cluster has no more, and no other', async () => {
    gone = new Set(['gone', 'alive']);
    await store.nodes.create('gone', nodeRecord('gone', [], silent));
    await store.nodes.create('off', nodeRecord('off', [], silent));
    await store.nodes.create('alive', nodeRecord('alive', [], { aliveAtMs: Date.now() }));
    await departed.round([]);
    expect(await names()).toEqual(['alive', 'off']);
    expect(asked).toEqual(['gone', 'off']);
  });

  test('keeps the record of a node that a volume is published to, until it is published there no more', async () => {
    gone = new Set(['gone']);
    await store.nodes.create('gone', nodeRecord('gone', [], silent));
    const publications = [{ nodeId: 'gone', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 1 }];
    await departed.round([targetRecord('e1.1', { publications })]);
    expect(await names()).toEqual(['gone']);
    steadyMs = LATER_MS;
    await departed.round([targetRecord('e1.1')]);
    expect(await names()).toEqual([]);
  });

  test('looks seldom', async () => {
    await store.nodes.create('off', nodeRecord('off', [], silent));
    await departed.round([]);
    steadyMs = LATER_MS - 1;
    await departed.round([]);
    expect(asked).toEqual(['off']);
    steadyMs = LATER_MS;
    await departed.round([]);
    expect(asked).toEqual(['off', 'off']);
  });
});
