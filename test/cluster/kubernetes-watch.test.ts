import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Store } from '../../src/volumes/store.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { ClusterLaboratory, failureOf, installCrds } from '../support/cluster-store.ts';
import { eventually } from '../support/faults-process.ts';
import { describeIf } from '../support/requires.ts';
import { counterRecord } from '../support/store-counter.ts';
import { StoreProcess } from '../support/store-process.ts';
import { nodeRecord, targetRecord } from '../support/volumes-records.ts';

const NEWS_MS = 20_000;

describeIf(CONTROL_PLANE, 'watches of the Kubernetes store', () => {
  let plane: ControlPlane;
  let laboratory: ClusterLaboratory;

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installCrds(plane);
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => plane.end());
  beforeEach(async () => {
    laboratory = await ClusterLaboratory.make(plane);
  });
  afterEach(async () => laboratory.remove());

  test('watch() goes on when the API server is killed and started anew', async () => {
    const store = await laboratory.open();
    const heard = listen(store);
    const made = await store.targets.create('e1.1', counterRecord('e1.1', 1));
    await heard('e1.1');

    await plane.apiServer.end('SIGKILL');
    expect(await failureOf(store.targets.get('e1.1'))).toMatch(/^unavailable: cannot read the record e1.1: .*can't be reached/);
    const failure = await failureOf(store.targets.update('e1.1', made.version, made.value));
    expect(failure).toMatch(/^unavailable: .*whether it was done is not known/);
    await eventually('the outage to be told', NEWS_MS, () =>
      laboratory.problems.some((text) => text.includes("can't be reached")),
    );
    await plane.startApiServer();

    // For a moment after its start it knows no kinds but its own, and says 503.
    const again = await eventually('an answer', NEWS_MS, async () => store.targets.get('e1.1').catch(() => false as const));
    expect(again).toEqual(made);
    await (await laboratory.open()).targets.create('e1.2', targetRecord('e1.2'));
    await heard('e1.2');
    expect(laboratory.problems).toHaveLength(1);
  });

  test('watch() tells all that has changed since a version that has expired', async () => {
    const store = await laboratory.open();
    const other = await laboratory.open();
    await store.targets.create('e1.1', counterRecord('e1.1', 1));
    const changed = await store.targets.create('e1.2', counterRecord('e1.2', 1));
    const deleted = await store.targets.create('e1.3', counterRecord('e1.3', 1));
    const late = await laboratory.open();

    await other.targets.update('e1.2', changed.version, counterRecord('e1.2', 2));
    await other.targets.delete('e1.3', deleted.version);
    await other.targets.create('e1.4', counterRecord('e1.4', 1));
    await plane.compactEtcd();
    // Else it would still know from memory what etcd has forgotten.
    await plane.apiServer.end('SIGKILL');
    await plane.startApiServer();

    const lists = (): number =>
      plane.audited().filter(({ verb, objectRef }) => verb === 'list' && objectRef.namespace === laboratory.namespace).length;
    const before = lists();
    const names: string[] = [];
    late.targets.watch((some) => names.push(...some));
    await eventually('news of three records', NEWS_MS, () => names.length >= 3);
    expect(names.toSorted()).toEqual(['e1.2', 'e1.3', 'e1.4']);
    // It had to compare: going on from that version was refused.
    expect(lists()).toBeGreaterThan(before);
    await other.targets.create('e1.5', counterRecord('e1.5', 1));
    await eventually('news of one more', NEWS_MS, () => names.includes('e1.5'));
  });

  test('watch() gives up a connection on which nothing comes any more', async () => {
    const store = await laboratory.open({ silenceMs: 1_000 });
    const heard = listen(store);
    plane.apiServer.signal('SIGSTOP');
    try {
      await eventually('the silence to be told', NEWS_MS, () =>
        laboratory.problems.some((text) => text.includes('has said nothing for 1 s')),
      );
    } finally {
      plane.apiServer.signal('SIGCONT');
    }
    await (await laboratory.open()).targets.create('e1.1', targetRecord('e1.1'));
    await heard('e1.1');
  });

  test('watch() holds nothing of what is in the records', async () => {
    const sights = Array.from({ length: 4_000 }, (_, index) => `e${index}.1`);
    const store = await laboratory.open();
    let { version } = await store.nodes.create('n', nodeRecord('n', sights));
    const watcher = new StoreProcess(laboratory.opener, 'watch-nodes');
    await watcher.said((line) => line === 'watching');
    const update = async (volumesMax: number): Promise<void> => {
      version = (await store.nodes.update('n', version, nodeRecord('n', sights, { volumesMax }))).version;
    };
    await update(1);
    await watcher.said((line) => line === 'n');
    const before = residentBytes(watcher.pid);
    for (let count = 2; count <= 30; count++) await update(count);
    await update(31);
    await eventually('news of each', NEWS_MS, () => watcher.lines.filter((line) => line === 'n').length >= 15);
    // Each record has 0.6 MB: 18 MB would have come, and as much again while they are parsed.
    const grown = residentBytes(watcher.pid) - before;
    process.stderr.write(
      `a watching process grew by ${(grown / 2 ** 20).toFixed(1)} MiB over 30 changes of a record of 0.6 MB\n`,
    );
    expect(grown).toBeLessThan(12 * 2 ** 20);
    watcher.endInput();
    await watcher.ended;
  });
});

/** Hears of changes to targets. Answers how to wait for a name. */
function listen(store: Store): (name: string) => Promise<void> {
  const names: string[] = [];
  store.targets.watch((changed) => names.push(...changed));
  return async (name) => {
    await eventually(`news of ${name}`, NEWS_MS, () => names.includes(name));
  };
}

function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}
