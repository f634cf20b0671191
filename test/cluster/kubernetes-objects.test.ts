import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { KubernetesStore } from '../../src/kubernetes/kubernetes-store.ts';
import type { NodeCondition } from '../../src/volumes/store.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { ClusterLaboratory, failureOf, installCrds } from '../support/cluster-store.ts';
import { eventually, TestProcess } from '../support/faults-process.ts';
import { MAIN } from '../support/program.ts';
import { describeIf } from '../support/requires.ts';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message: string;
}

/** What kubectl prints. */
interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const HEAD = { apiVersion: 'aoe.csi.dev/v1alpha1', kind: 'AoeTarget' };

const NEWS_MS = 20_000;
/** Two rounds of housekeeping, and more. */
const QUIET_MS = 25_000;
const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection'];

describeIf(CONTROL_PLANE, 'objects of the Kubernetes store', () => {
  let plane: ControlPlane;
  let laboratory: ClusterLaboratory;
  let store: KubernetesStore;
  let early = '';

  beforeAll(async () => {
    plane = await ControlPlane.start();
    early = await failureOf(KubernetesStore.open({ kubeConfig: plane.admin }));
    await installCrds(plane);
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => plane.end());
  beforeEach(async () => {
    laboratory = await ClusterLaboratory.make(plane);
    store = await laboratory.open();
  });
  afterEach(async () => laboratory.remove());

  const targets = () => `/apis/aoe.csi.dev/v1alpha1/namespaces/${laboratory.namespace}/aoetargets`;

  const writesSince = (before: number): string[] =>
    plane
      .audited()
      .slice(before)
      .filter(({ verb, objectRef }) => WRITES.includes(verb) && objectRef.namespace === laboratory.namespace)
      .map(({ verb, objectRef }) => `${verb} ${objectRef.resource}`);

  test('open() says how to install definitions that are not there', () => {
    expect(early).toMatch(
      /^unavailable: cannot watch aoetargets .*does not know aoetargets.aoe.csi.dev; install the chart, or run `kubectl apply/,
    );
  });

  test('`kubectl get aoetargets` shows how a task stands, and `-o wide` why it has failed', async () => {
    const message = 'the target does not answer; see that it is on';
    const task = { kind: 'wipe', id: 'w', nodeId: 'n1', state: 'failed', message, doneBytes: 0, totalBytes: 0 } as const;
    await store.targets.create('e1.1', targetRecord('e1.1', { state: 'Released', claim: claimRecord(), task }));
    const table = (await plane.request({ method: 'GET', path: targets(), accept: TABLE })) as Table;
    const shown = (isWide: boolean): Record<string, unknown> =>
      Object.fromEntries(
        table.columnDefinitions.flatMap(({ name, priority }, index) =>
          priority === 0 || isWide ? [[name, table.rows[0].cells[index]]] : [],
        ),
      );
    expect(shown(false)).toMatchObject({ State: 'Released', Task: 'wipe', 'Task state': 'failed' });
    expect(Object.values(shown(false))).not.toContain(message);
    expect(shown(true)).toMatchObject({ 'Task message': message });
  });

  test('an epoch that goes back, a volume that is renamed and a format that is forgotten are refused', async () => {
    const claim = claimRecord({ epoch: 7, format: { state: 'formatted', fsType: 'ext4', uuid: 'u' } });
    const { version } = await store.targets.create('e1.1', targetRecord('e1.1', { state: 'Claimed', claim }));
    const withClaim = async (differences: Parameters<typeof claimRecord>[0]) =>
      store.targets.update('e1.1', version, targetRecord('e1.1', { state: 'Claimed', claim: { ...claim, ...differences } }));
    expect(await failureOf(withClaim({ epoch: 6 }))).toMatch(/^failed-precondition: .*the epoch of a claim never goes back/s);
    expect(await failureOf(withClaim({ volumeName: 'x' }))).toMatch(/^failed-precondition: .*a claim is of one volume/s);
    expect(await failureOf(withClaim({ format: { state: 'never', fsType: '', uuid: '' } }))).toMatch(/never formatted again/);
    // Another claim is another volume.
    await withClaim({ claim: 'b'.repeat(26), epoch: 1, volumeName: 'y', format: { state: 'never', fsType: '', uuid: '' } });
  });

  test('a record under another name, with a wrong member or with one that the definitions lack is refused', async () => {
    expect(await failureOf(store.targets.create('e1.2', targetRecord('e1.1')))).toMatch(
      /^failed-precondition: .*named by the address/s,
    );
    const wrong = targetRecord('e1.1', { identity: { serial: '', model: '', sizeBytes: -1 } });
    expect(await failureOf(store.targets.create('e1.1', wrong))).toMatch(/^failed-precondition: .*sizeBytes/s);
    const newer = { ...targetRecord('e1.1'), somethingNewer: 1 };
    const failure = await failureOf(store.targets.create('e1.1', newer));
    expect(failure).toMatch(/^failed-precondition: .*somethingNewer.*older than this program/s);
    expect(await store.targets.list()).toEqual([]);
  });

  test('conditions of a node stand in its status, with an event for each change, and nothing is written for the same again', async () => {
    const created = await store.nodes.create('n1', nodeRecord('n1', []));
    const clock = { type: 'Clock', isGood: false, reason: 'Warning', message: 'the clock is late; set it' };
    const kernel = { type: 'Kernel', isGood: true, reason: 'Passed', message: '' };
    const show = async (...conditions: readonly NodeCondition[]): Promise<Condition[]> => {
      await store.showConditions('n1', conditions);
      const path = targets().replace('aoetargets', 'aoenodes/n1');
      return ((await plane.request({ method: 'GET', path })) as { status: { conditions: Condition[] } }).status.conditions;
    };
    const events = async (): Promise<string[]> => {
      const path = `/api/v1/namespaces/${laboratory.namespace}/events`;
      const { items } = (await plane.request({ method: 'GET', path })) as { items: Record<string, string>[] };
      return items.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).toSorted();
    };
    const first = await show(kernel, clock);
    expect(first.map(({ type, status, message }) => `${type} ${status} ${message}`)).toEqual([
      'Kernel True ',
      'Clock False the clock is late; set it',
    ]);
    const warned = 'Warning ClockWarning: the clock is late; set it';
    expect(await events()).toEqual([warned]);
    const { version } = (await store.nodes.get('n1'))!;
    expect(version).not.toBe(created.version);
    expect(await show(kernel, clock)).toEqual(first);
    expect((await store.nodes.get('n1'))?.version).toBe(version);
    const [, well] = await show(kernel, { ...clock, isGood: true, reason: 'Passed', message: '' });
    expect(well.status).toBe('True');
    expect(await events()).toEqual(['Normal ClockPassed: it is well now', warned]);
    // A write of the record leaves them alone.
    const { value, version: last } = (await store.nodes.get('n1'))!;
    await store.nodes.update('n1', last, { ...value, interfaces: ['eth9'] });
    expect(await show(kernel)).toHaveLength(1);
    expect(await failureOf(store.showConditions('n2', [kernel]))).toMatch(/^unavailable: .*n2 .*no record yet/);
  });

  test('the record of an older node plugin, with what its checks have found, is taken', async () => {
    const problems = { clock: 'the clock is late; set it' };
    const { version } = await store.nodes.create('n1', nodeRecord('n1', [], { problems }));
    expect(await failureOf(store.nodes.update('n1', version, nodeRecord('n1', [])))).toBe('nothing');
  });

  test('the API server says what time it is', async () => {
    const before = Date.now();
    const serverMs = await store.nowMs();
    expect(serverMs).toBeGreaterThan(before - 2_000);
    expect(serverMs).toBeLessThan(Date.now() + 2_000);
  });

  test('what people add to the metadata stays, and is a change', async () => {
    const made = await store.targets.create('e1.1', targetRecord('e1.1'));
    const labels = { rack: '7' };
    const contentType = 'application/merge-patch+json';
    await plane.request({ method: 'PATCH', path: `${targets()}/e1.1`, contentType, body: { metadata: { labels } } });
    await expect(store.targets.update('e1.1', made.version, made.value)).rejects.toMatchObject({ name: 'ConflictError' });
    const { version } = (await store.targets.get('e1.1'))!;
    const written = await store.targets.update('e1.1', version, targetRecord('e1.1', { reason: 'x' }));
    await store.targets.update('e1.1', written.version, targetRecord('e1.1', { reason: 'x' }));
    expect(await plane.request({ method: 'GET', path: `${targets()}/e1.1` })).toMatchObject({ metadata: { labels } });
  });

  test('a record that the program can not trust is left out of list(), and get() says what to do', async () => {
    const { version } = await store.targets.create('e1.1', targetRecord('e1.1'));
    const body = { ...HEAD, metadata: { name: 'e1.300' }, spec: targetRecord('e1.300') };
    await plane.request({ method: 'POST', path: targets(), body });
    expect(await store.targets.list()).toMatchObject([{ name: 'e1.1', version }]);
    expect(laboratory.problems.join()).toContain('address is not a target address');
    expect(await failureOf(store.targets.get('e1.300'))).toContain(`kubectl edit aoetarget -n ${laboratory.namespace} e1.300`);
  });

  test('a record that etcd can not take is refused as too large', async () => {
    const value = nodeRecord('n', [], { bootId: 'x'.repeat(2_000_000) });
    await expect(store.nodes.create('n', value)).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  test('a namespace that is not there is named', async () => {
    const elsewhere = await laboratory.open({ namespace: 'nowhere' });
    expect(await failureOf(elsewhere.targets.create('e1.1', targetRecord('e1.1')))).toMatch(
      /^unavailable: .*no namespace nowhere/,
    );
  });

  test('open() refuses another cluster id, also when two open at once', async () => {
    await Promise.all([laboratory.open({ clusterId: 'a' }), laboratory.open({ clusterId: 'a' })]);
    expect(await failureOf(laboratory.open({ clusterId: 'b' }))).toMatch(/^failed-precondition: .*cluster a's/);
  });

  test('open() says what is wrong with a configuration', async () => {
    const stranger = plane.kubeConfig('nobody', { token: randomBytes(8).toString('hex') });
    expect(await failureOf(KubernetesStore.open({ kubeConfig: stranger }))).toMatch(/^unavailable: .*does not know who asks/);
    const empty = join(plane.folder, 'empty.kubeconfig');
    writeFileSync(empty, '{}');
    expect(await failureOf(KubernetesStore.open({ kubeConfig: empty }))).toMatch(/^failed-precondition: .*KUBECONFIG/);
    expect(await failureOf(KubernetesStore.open({ kubeConfig: '/nonexistent' }))).toMatch(/^failed-precondition: .*KUBECONFIG/);
  });

  test('a node that only lives renews its lease: its record is not written, and nobody who watches is woken', async () => {
    const alive = (aliveAtMs: number) => nodeRecord('Node_7', ['e1.1'], { aliveAtMs });
    const made = await store.nodes.create('Node_7', alive(1_000));
    const controller = await laboratory.open();
    const heard: string[] = [];
    controller.nodes.watch((names) => heard.push(...names));
    const before = plane.audited().length;

    const nowMs = Date.now();
    const found = (await store.nodes.get('Node_7'))!;
    expect(await store.nodes.update('Node_7', found.version, alive(nowMs))).toEqual({ ...made, value: alive(nowMs) });
    expect(await controller.nodes.get('Node_7')).toEqual({ ...made, value: alive(nowMs) });
    expect(await controller.nodes.list()).toEqual([{ ...made, value: alive(nowMs) }]);
    expect(writesSince(before)).toEqual(['patch leases']);

    // What has changed is written, and the time with it.
    const staged = { ...alive(nowMs + 1), volumesMax: 1 };
    const written = await store.nodes.update('Node_7', found.version, staged);
    expect(written.version).not.toBe(found.version);
    expect(await controller.nodes.get('Node_7')).toEqual(written);
    await eventually('news of the node', NEWS_MS, () => heard.length > 0);
    expect(heard).toEqual(['Node_7']);
    expect(writesSince(before)).toEqual(['patch leases', 'patch aoenodes']);
    // Who goes by what is no more does not renew it either.
    await expect(controller.nodes.update('Node_7', found.version, alive(nowMs + 2))).rejects.toMatchObject({
      name: 'ConflictError',
    });
  });

  test('a controller writes nothing but that it is the elected one while nothing changes', async () => {
    await store.nodes.create('n', nodeRecord('n', ['e1.1'], { aliveAtMs: Date.now() }));
    const folder = mkdtempSync(join(plane.folder, 'controller-'));
    const words = [
      '--endpoint',
      `unix://${folder}/csi.sock`,
      '--store',
      `kubernetes:${laboratory.namespace}`,
      '--cluster-id',
      'lab',
    ];
    const start = plane.audited().length;
    const started = new TestProcess(
      'controller',
      ['env', `KUBECONFIG=${plane.admin}`, process.execPath, MAIN, 'controller', ...words],
      folder,
    );
    try {
      // It takes what the node sees into the inventory.
      await eventually('the target to be known', NEWS_MS, async () => {
        if (!started.running) throw new Error(started.report);
        return (await store.targets.get('e1.1'))?.value.state === 'Available';
      });
      // The log comes after the object.
      await eventually('the log to tell it', NEWS_MS, () => writesSince(start).includes('create aoetargets'));
      const before = plane.audited().length;
      await delay(QUIET_MS);
      expect(plane.audited().length).toBeGreaterThan(before);
      expect(new Set(writesSince(before))).toEqual(new Set(['patch leases']));
    } finally {
      await started.end();
    }
  });

  test('reading and watching write nothing', async () => {
    await store.targets.create('e1.1', targetRecord('e1.1'));
    const other = await laboratory.open({ clusterId: 'a' });
    const again = await laboratory.open({ clusterId: 'a' });
    const before = plane.audited().length;
    other.targets.watch(() => undefined);
    other.nodes.watch(() => undefined);
    for (let round = 0; round < 10; round++) {
      await other.targets.get('e1.1');
      await again.targets.list();
      await again.nodes.list();
    }
    expect(plane.audited().length).toBeGreaterThanOrEqual(before + 30);
    expect(writesSince(before)).toEqual([]);
  });
});
