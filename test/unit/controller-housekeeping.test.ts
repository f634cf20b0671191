import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { Housekeeping } from '../../src/controller/housekeeping.ts';
import { Logger } from '../../src/logging/logger.ts';
import { ALWAYS_ELECTED, type Election } from '../../src/volumes/election.ts';
import { Liveness } from '../../src/volumes/liveness.ts';
import type { Store } from '../../src/volumes/store.ts';
import { eventually } from '../support/faults-process.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';

/** Far less than the time between two rounds that nobody asks for. */
const SOON_MS = 3_000;

let laboratory: EmbeddedLaboratory;
let directory: Store;
let housekeeping: Housekeeping;
/** As a node's report is heard of. */
let report: () => void;
/** A round begins with a list of the nodes; it waits here. */
let gate: PromiseWithResolvers<void>;
let rounds: number;
let lines: string[];
let metrics: Registry;
/** Nodes that a person has declared to be off. */
let off: Set<string>;
/** Whether it is the elected one, and how it hears that this has changed. */
let elected: { isElected: boolean; changed: () => void };

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  const store = await laboratory.open();
  directory = store;
  rounds = 0;
  lines = [];
  off = new Set();
  gate = Promise.withResolvers();
  const nodes: Store['nodes'] = {
    ...bound(store.nodes),
    watch: (changed) => {
      report = () => changed(['node-1']);
      return () => undefined;
    },
    list: async () => {
      rounds += 1;
      await gate.promise;
      return store.nodes.list();
    },
  };
  const parts = {
    store: {
      targets: store.targets,
      nodes,
      tasksAt: (nodeId: string) => store.tasksAt(nodeId),
      close: async () => store.close(),
      isOutOfService: async (nodeId: string) => Promise.resolve(off.has(nodeId)),
    },
    clusterId: 'c',
    nowMs: () => Date.now(),
    liveness: new Liveness(),
    logger: Logger.create('info', { write: (line) => void lines.push(line) }),
  };
  metrics = new Registry();
  elected = { isElected: true, changed: () => undefined };
  const election: Election = {
    ...ALWAYS_ELECTED,
    get isElected() {
      return elected.isElected;
    },
    watch: (changed) => {
      elected.changed = changed;
      return () => undefined;
    },
  };
  housekeeping = new Housekeeping(parts, election, metrics);
});

afterEach(async () => {
  gate.resolve();
  await housekeeping.stop();
  await laboratory.remove();
});

function bound(nodes: Store['nodes']): Store['nodes'] {
  return {
    get: async (name) => nodes.get(name),
    list: async () => nodes.list(),
    create: async (name, value) => nodes.create(name, value),
    update: async (name, version, value) => nodes.update(name, version, value),
    delete: async (name, version) => nodes.delete(name, version),
    watch: (changed) => nodes.watch(changed),
  };
}

describe('Housekeeping', () => {
  test('looks again soon when a node reports something in the middle of a round', async () => {
    housekeeping.start();
    await eventually('the first round', SOON_MS, () => rounds > 0);
    report();
    gate.resolve();
    await eventually('the next round', SOON_MS, () => rounds >= 2);
  });

  test('looks after the other targets when it can do nothing with a record that somebody has edited', async () => {
    gate.resolve();
    await directory.nodes.create('node-1', nodeRecord('node-1', ['e1.0', 'e1.1'], { aliveAtMs: Date.now() }));
    for (const [address, parameters] of [['e1.0', { deadSeconds: 'soon' }] as const, ['e1.1', {}] as const]) {
      await directory.targets.create(address, targetRecord(address, { state: 'Released', claim: claimRecord({ parameters }) }));
    }
    await housekeeping.round();
    expect((await directory.targets.get('e1.0'))?.value.task).toBeUndefined();
    expect((await directory.targets.get('e1.1'))?.value.task).toMatchObject({ kind: 'wipe', nodeId: 'node-1' });
  });

  test('hands nothing to a node that is declared to be off, though it still counts as alive', async () => {
    gate.resolve();
    for (const nodeId of ['node-1', 'node-2']) {
      await directory.nodes.create(nodeId, nodeRecord(nodeId, ['e1.0', 'e1.1'], { aliveAtMs: Date.now() }));
    }
    for (const address of ['e1.0', 'e1.1']) {
      await directory.targets.create(address, targetRecord(address, { state: 'Released', claim: claimRecord() }));
    }
    const helpers = async (): Promise<unknown[]> =>
      Promise.all(['e1.0', 'e1.1'].map(async (address) => (await directory.targets.get(address))?.value.task?.nodeId));
    off = new Set(['node-1', 'node-2']);
    await housekeeping.round();
    expect(await helpers()).toEqual([undefined, undefined]);
    // Each of the two would get one, if both were on.
    off = new Set(['node-1']);
    await housekeeping.round();
    expect(await helpers()).toEqual(['node-2', 'node-2']);
  });

  test('hands a task on whose node is declared to be off afterwards, once there is another', async () => {
    gate.resolve();
    const alive = { aliveAtMs: Date.now() };
    await directory.nodes.create('node-1', nodeRecord('node-1', ['e1.0'], alive));
    await directory.targets.create('e1.0', targetRecord('e1.0', { state: 'Released', claim: claimRecord() }));
    const helper = async (): Promise<string | undefined> => (await directory.targets.get('e1.0'))?.value.task?.nodeId;
    await housekeeping.round();
    expect(await helper()).toBe('node-1');
    off = new Set(['node-1']);
    await housekeeping.round();
    expect(await helper()).toBe('node-1');
    await directory.nodes.create('node-2', nodeRecord('node-2', ['e1.0'], alive));
    await housekeeping.round();
    expect(await helper()).toBe('node-2');
    // It need not stay off for that: nobody takes it back.
    off = new Set();
    await housekeeping.round();
    expect(await helper()).toBe('node-2');
  });

  test('warns once of what is wrong with the target of a volume, and of a task that has failed', async () => {
    gate.resolve();
    await directory.nodes.create('node-1', nodeRecord('node-1', ['e1.1'], { aliveAtMs: Date.now() }));
    await directory.targets.create('e1.0', targetRecord('e1.0', { state: 'Claimed', claim: claimRecord() }));
    const failed = { state: 'failed', message: 'it does not answer', doneBytes: 0, totalBytes: 0 } as const;
    const task = { kind: 'wipe', id: 'w', nodeId: 'node-1', ...failed } as const;
    await directory.targets.create('e1.1', targetRecord('e1.1', { state: 'Released', claim: claimRecord(), task }));
    await housekeeping.round();
    await housekeeping.round();
    const warnings = lines.filter((line) => line.includes('"level":"warn"'));
    expect(warnings).toEqual([
      expect.stringContaining('something is wrong with target e1.0 of volume pvc-1: no live node sees it'),
      expect.stringContaining('task wipe of target e1.1 has failed: it does not answer'),
    ]);
  });

  test('counts targets and tasks while it is elected and the records can be read, and shows nothing otherwise', async () => {
    gate.resolve();
    await directory.nodes.create('node-1', nodeRecord('node-1', ['e1.1', 'e1.2'], { aliveAtMs: Date.now() }));
    await directory.targets.create('e1.0', targetRecord('e1.0', { state: 'Claimed', claim: claimRecord() }));
    const failed = { state: 'failed', message: 'it does not answer', doneBytes: 0, totalBytes: 0 } as const;
    const task = { kind: 'wipe', id: 'w', nodeId: 'node-1', ...failed } as const;
    await directory.targets.create('e1.1', targetRecord('e1.1', { state: 'Released', claim: claimRecord(), task }));
    housekeeping.start();
    const figures = async (): Promise<string[]> =>
      (await metrics.metrics()).split('\n').filter((line) => line.startsWith('aoe_csi_controller_'));
    await eventually('the figures', SOON_MS, async () => (await figures()).length > 0);
    expect(await figures()).toEqual(
      expect.arrayContaining([
        'aoe_csi_controller_targets{state="Available"} 1',
        'aoe_csi_controller_targets{state="Claimed"} 1',
        'aoe_csi_controller_targets{state="Released"} 1',
        'aoe_csi_controller_targets{state="Foreign"} 0',
        'aoe_csi_controller_targets_unwell{state="Claimed"} 1',
        'aoe_csi_controller_targets_unwell{state="Static"} 0',
        'aoe_csi_controller_tasks{kind="wipe",state="failed"} 1',
        'aoe_csi_controller_tasks{kind="claim",state="failed"} 0',
      ]),
    );
    elected.isElected = false;
    elected.changed();
    await eventually('none', SOON_MS, async () => (await figures()).length === 0);
    elected.isElected = true;
    elected.changed();
    await eventually('them again', SOON_MS, async () => (await figures()).length > 0);
    gate = Promise.withResolvers();
    gate.reject(new Error('the store is away'));
    report();
    await eventually('none', SOON_MS, async () => (await figures()).length === 0);
  });

  test('comes to its rounds when nodes report without a pause', async () => {
    gate.resolve();
    housekeeping.start();
    await eventually('the first round', SOON_MS, () => rounds >= 1);
    const talk = setInterval(() => report(), 5);
    try {
      await eventually('three more rounds', SOON_MS, () => rounds >= 4);
    } finally {
      clearInterval(talk);
    }
  });
});
