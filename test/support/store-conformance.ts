import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { NodeRecord, TaskRecord } from '../../src/volumes/records.ts';
import { change, isConflict, type Store } from '../../src/volumes/store.ts';
import { waitForRecord } from '../../src/volumes/wait-for-record.ts';
import { eventually } from './faults-process.ts';
import { countOf, counterRecord } from './store-counter.ts';
import { runStoreProcess, StoreProcess, type StoreOpener } from './store-process.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from './volumes-records.ts';

/** One store, empty at first, that tests open as often as they like. */
export interface StoreLaboratory {
  /** One more client of the store, in this process. Closed by `remove`. */
  open(): Promise<Store>;
  /** How other processes open it. */
  readonly opener: StoreOpener;
  remove(): Promise<void>;
}

/** Within this time a watcher has heard of a change, on a busy machine. */
const NEWS_MS = 5_000;
const NEVER = new AbortController().signal;

/**
 * What every Store promises (src/volumes/store.ts), as tests: services of the controller and the nodes rely on this and nothing
 * else.
 */
export function describeStore(name: string, makeLaboratory: () => StoreLaboratory | Promise<StoreLaboratory>): void {
  let laboratory: StoreLaboratory;
  let store: Store;

  beforeEach(async () => {
    laboratory = await makeLaboratory();
    store = await laboratory.open();
  });
  afterEach(async () => laboratory.remove());

  describe(`${name}: records`, () => {
    test('get() answers undefined and list() nothing when there is none', async () => {
      expect(await store.targets.get('e1.1')).toBeUndefined();
      expect(await store.targets.list()).toEqual([]);
    });

    test('get() and list() answer what was written, in all members, to every client', async () => {
      const target = targetRecord('e10.3', {
        state: 'Wiping',
        claim: claimRecord({ labels: { 'csi.storage.k8s.io/pvc/name': 'größe "x"\n\\' }, epoch: 7 }),
        publications: [{ nodeId: 'n', readOnly: true, accessMode: 'SINGLE_NODE_WRITER', epoch: 7 }],
        task: { kind: 'wipe', id: 't', nodeId: 'n', state: 'running', message: '', doneBytes: 2 ** 52, totalBytes: 2 ** 53 - 1 },
      });
      const written = await store.targets.create('e10.3', target);
      expect(written).toEqual({ name: 'e10.3', version: expect.any(String), value: target });
      const other = await laboratory.open();
      expect(await other.targets.get('e10.3')).toEqual(written);
      expect(await other.targets.list()).toEqual([written]);
    });

    test('get() answers a value of its own each time', async () => {
      await store.nodes.create('n', nodeRecord('n', ['e1.1']));
      const { value } = (await store.nodes.get('n'))!;
      (value as { bootId: string }).bootId = 'scribbled over';
      expect((await store.nodes.get('n'))?.value.bootId).toBe('boot');
    });

    test('list() is in ascending order of names, and targets and nodes are apart', async () => {
      const names = ['e2.1', 'e10.1', 'e1.1', 'e10.0'];
      for (const address of names) await store.targets.create(address, targetRecord(address));
      await store.nodes.create('e1.1', nodeRecord('e1.1', []));
      expect((await store.targets.list()).map((record) => record.name)).toEqual(names.toSorted());
      expect((await store.nodes.list()).map((record) => record.name)).toEqual(['e1.1']);
    });

    test('a node may be named as orchestrators name nodes', async () => {
      const names = ['worker-1.example.org', 'Node_7', '10.0.0.1', `${'n'.repeat(60)}.${'m'.repeat(60)}`];
      for (const node of names) await store.nodes.create(node, nodeRecord(node, []));
      expect((await store.nodes.list()).map((record) => record.value.nodeId)).toEqual(names.toSorted());
    });

    test('a node that sees four thousand targets fits into a record', async () => {
      const addresses = Array.from({ length: 4_000 }, (_, index) => `e${index}.1`);
      const value = nodeRecord('n', addresses);
      await store.nodes.create('n', value);
      expect((await store.nodes.get('n'))?.value).toEqual(value);
    });
  });

  describe(`${name}: compare-and-set`, () => {
    test('create() conflicts when there is one', async () => {
      await store.targets.create('e1.1', counterRecord('e1.1', 1));
      await expect(store.targets.create('e1.1', counterRecord('e1.1', 2))).rejects.toMatchObject({ name: 'ConflictError' });
      expect(countOf((await store.targets.get('e1.1'))!.value)).toBe(1);
    });

    test('update() and delete() conflict at any version but the last', async () => {
      const first = await store.targets.create('e1.1', counterRecord('e1.1', 1));
      const second = await store.targets.update('e1.1', first.version, counterRecord('e1.1', 2));
      for (const version of [first.version, '', 'x', second.version + ' ']) {
        await expect(store.targets.update('e1.1', version, counterRecord('e1.1', 3))).rejects.toMatchObject({
          name: 'ConflictError',
        });
        await expect(store.targets.delete('e1.1', version)).rejects.toMatchObject({ name: 'ConflictError' });
      }
      expect(await store.targets.get('e1.1')).toEqual(second);
      await store.targets.delete('e1.1', second.version);
      expect(await store.targets.get('e1.1')).toBeUndefined();
    });

    test('update() and delete() conflict when there is no record', async () => {
      await expect(store.targets.update('e1.1', '1', counterRecord('e1.1', 1))).rejects.toMatchObject({ name: 'ConflictError' });
      await expect(store.targets.delete('e1.1', '1')).rejects.toMatchObject({ name: 'ConflictError' });
    });

    test('a version is new after every write, also when the value is the same and when the record was deleted in between', async () => {
      const value = counterRecord('e1.1', 1);
      const versions: string[] = [];
      for (let round = 0; round < 5; round++) {
        const made = await store.targets.create('e1.1', value);
        const updated = await store.targets.update('e1.1', made.version, value);
        await store.targets.delete('e1.1', updated.version);
        versions.push(made.version, updated.version);
      }
      expect(new Set(versions).size).toBe(versions.length);
    });

    test('one of many that create the same record at once wins', async () => {
      const other = await laboratory.open();
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, async (_, index) =>
          [store, other][index % 2].targets.create('e1.1', counterRecord('e1.1', index + 1)),
        ),
      );
      const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      expect(made).toHaveLength(1);
      expect(failures.every(isConflict)).toBe(true);
      expect(await store.targets.get('e1.1')).toEqual(made[0]);
    });

    test('change() loses no increment when a hundred come at once', async () => {
      await store.targets.create('e1.1', counterRecord('e1.1', 0));
      const other = await laboratory.open();
      const increment = async (index: number) =>
        change([store, other][index % 2].targets, 'e1.1', (record) => counterRecord('e1.1', countOf(record) + 1));
      const results = await Promise.all(Array.from({ length: 100 }, async (_, index) => increment(index)));
      expect(results.map((written) => countOf(written!.value)).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
      expect(countOf((await store.targets.get('e1.1'))!.value)).toBe(100);
    }, 120_000);

    test('change() leaves a record alone when it is told to, and knows when there is none', async () => {
      const made = await store.targets.create('e1.1', counterRecord('e1.1', 1));
      expect(await change(store.targets, 'e1.1', () => undefined)).toEqual(made);
      expect(await change(store.targets, 'e1.2', () => counterRecord('e1.2', 1))).toBeUndefined();
    });

    test('four processes that count at once lose no increment', async () => {
      await store.targets.create('e1.1', counterRecord('e1.1', 0));
      await store.targets.create('e1.2', counterRecord('e1.2', 0));
      const ends = await Promise.all(
        [1, 2, 1, 2].map(async (slot) => runStoreProcess(laboratory.opener, 'increment', [`e1.${slot}`, '60'])),
      );
      expect(ends.map(({ lines }) => lines)).toEqual([['done'], ['done'], ['done'], ['done']]);
      expect(countOf((await store.targets.get('e1.1'))!.value)).toBe(120);
      expect(countOf((await store.targets.get('e1.2'))!.value)).toBe(120);
    }, 60_000);
  });

  describe(`${name}: watching`, () => {
    test('watch() names what was made, changed and deleted by any client', async () => {
      const heard = listen(store);
      const other = await laboratory.open();
      const made = await other.targets.create('e1.1', counterRecord('e1.1', 1));
      await heard.name('e1.1');
      const updated = await store.targets.update('e1.1', made.version, counterRecord('e1.1', 2));
      await heard.name('e1.1');
      await other.targets.delete('e1.1', updated.version);
      await heard.name('e1.1');
      heard.stop();
    });

    test('watch() of one kind hears nothing of the other, and nothing after its end', async () => {
      const heard = listen(store);
      await store.nodes.create('n', nodeRecord('n', []));
      heard.stop();
      await store.targets.create('e1.1', counterRecord('e1.1', 1));
      await delay(50);
      expect(heard.names).toEqual([]);
    });

    test('watch() misses none of many changes at once', async () => {
      const heard = listen(store);
      const other = await laboratory.open();
      const names = Array.from({ length: 100 }, (_, index) => `e${index}.0`);
      await Promise.all(names.map(async (address) => other.targets.create(address, targetRecord(address))));
      for (const address of names) await heard.name(address);
      heard.stop();
    });

    test('watch() of another process hears of changes here, and here of changes there', async () => {
      const heard = listen(store);
      const watcher = new StoreProcess(laboratory.opener, 'watch');
      await watcher.said((line) => line === 'watching');
      await store.targets.create('e1.1', counterRecord('e1.1', 1));
      await watcher.said((line) => line === 'e1.1');
      expect((await runStoreProcess(laboratory.opener, 'create', ['e1.2', '1'])).lines).toEqual(['done']);
      await watcher.said((line) => line === 'e1.2');
      await heard.name('e1.2');
      watcher.endInput();
      expect(await watcher.ended).toMatchObject({ code: 0 });
      heard.stop();
    }, 30_000);

    test('several watch() at once each hear everything', async () => {
      const heard = [listen(store), listen(store), listen(store)];
      heard[0].stop();
      await store.targets.create('e1.1', counterRecord('e1.1', 1));
      await heard[1].name('e1.1');
      await heard[2].name('e1.1');
      expect(heard[0].names).toEqual([]);
      for (const { stop } of heard) stop();
    });

    test('tasksAt() lists the tasks of one node, and tells when one comes and goes', async () => {
      const here = taskRecord('here');
      await store.targets.create('e1.1', targetRecord('e1.1', { task: here }));
      await store.targets.create('e1.2', targetRecord('e1.2', { task: taskRecord('elsewhere') }));
      await store.targets.create('e1.3', targetRecord('e1.3'));
      const other = await laboratory.open();
      const tasks = other.tasksAt('here');
      const heard: string[] = [];
      const stop = tasks.watch((names) => heard.push(...names));
      const listed = async () => (await tasks.list()).map((record) => record.name);
      expect(await listed()).toEqual(['e1.1']);
      await change(store.targets, 'e1.3', (record) => ({ ...record, task: here }));
      await eventually('the new task to be told', NEWS_MS, () => heard.includes('e1.3'));
      expect(await listed()).toEqual(['e1.1', 'e1.3']);
      heard.length = 0;
      await change(store.targets, 'e1.1', (record) => ({ ...record, task: taskRecord('elsewhere') }));
      await eventually('the end of a task to be told', NEWS_MS, () => heard.includes('e1.1'));
      expect(await listed()).toEqual(['e1.3']);
      expect((await other.tasksAt('nobody, a=b\\').list()).length).toBe(0);
      stop();
    });

    test('waitForRecord() ends when the record is as wanted, whoever made it so', async () => {
      const waiting = waitForRecord(store.targets, 'e1.1', (record) => record !== undefined && countOf(record.value) >= 3, NEVER);
      const other = await laboratory.open();
      await other.targets.create('e1.1', counterRecord('e1.1', 0));
      for (let count = 0; count < 3; count++)
        await change(other.targets, 'e1.1', (record) => counterRecord('e1.1', countOf(record) + 1));
      expect(countOf((await waiting)!.value)).toBe(3);
    });

    test('waitForRecord() answers what there is when the signal comes first', async () => {
      await store.targets.create('e1.1', counterRecord('e1.1', 1));
      const record = await waitForRecord(store.targets, 'e1.1', () => false, AbortSignal.timeout(30));
      expect(countOf(record!.value)).toBe(1);
      expect(await waitForRecord(store.targets, 'e1.2', () => false, AbortSignal.abort())).toBeUndefined();
    });
  });

  test(`${name}: close() ends watching and refuses what comes later`, async () => {
    const heard = listen(store);
    await store.close();
    const other = await laboratory.open();
    await other.targets.create('e1.1', counterRecord('e1.1', 1));
    await delay(50);
    expect(heard.names).toEqual([]);
    for (const call of [
      async () => store.targets.get('e1.1'),
      async () => store.targets.list(),
      async () => store.targets.create('e1.2', counterRecord('e1.2', 1)),
      async () => Promise.resolve(store.targets.watch(() => undefined)),
    ]) {
      await expect(call()).rejects.toMatchObject({ name: 'VolumeError', code: 'unavailable' });
    }
    await store.close();
  });

  test(`${name}: list() of four thousand targets and a hundred nodes`, async () => {
    const addresses = Array.from({ length: 4_000 }, (_, index) => `e${index % 500}.${Math.floor(index / 500)}`);
    const node: NodeRecord = {
      ...nodeRecord('n', []),
      targets: Object.fromEntries(addresses.slice(0, 40).map((a) => [a, sightRecord(a)])),
    };
    const writing = performance.now();
    await Promise.all(
      addresses.map(async (address) => store.targets.create(address, targetRecord(address, { claim: claimRecord() }))),
    );
    await Promise.all(addresses.slice(0, 100).map(async (nodeId) => store.nodes.create(nodeId, { ...node, nodeId })));
    const reading = performance.now();
    expect(await store.targets.list()).toHaveLength(4_000);
    const between = performance.now();
    expect(await store.nodes.list()).toHaveLength(100);
    const end = performance.now();
    const ms = [(reading - writing) / 4_100, between - reading, end - between].map((value) => value.toFixed(1));
    process.stderr.write(`${name}: ${ms[0]} ms per create, list of 4000 targets ${ms[1]} ms, of 100 nodes ${ms[2]} ms\n`);
  }, 180_000);
}

/** Hears of changes to targets. */
function listen(store: Store): { names: string[]; name: (wanted: string) => Promise<void>; stop: () => void } {
  const names: string[] = [];
  let wake = () => undefined as void;
  const stop = store.targets.watch((changed) => {
    names.push(...changed);
    wake();
  });
  /** Waits until a name was heard, and forgets what was heard of it so far. */
  const name = async (wanted: string): Promise<void> => {
    const endMs = performance.now() + NEWS_MS;
    while (!names.includes(wanted)) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`no news of ${wanted}; heard of ${names.join(' ')}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await Promise.race([promise, delay(Math.min(leftMs, 100))]);
    }
    for (let at = names.indexOf(wanted); at >= 0; at = names.indexOf(wanted)) names.splice(at, 1);
  };
  return { names, name, stop };
}

function taskRecord(nodeId: string): TaskRecord {
  return { kind: 'wipe', id: 'wipe:x', nodeId, state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 };
}
