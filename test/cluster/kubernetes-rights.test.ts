import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { KubernetesStore } from '../../src/kubernetes/kubernetes-store.ts';
import { API_VERSION } from '../../src/kubernetes/resources.ts';
import type { TargetRecord } from '../../src/volumes/records.ts';
import { change } from '../../src/volumes/store.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { installRights, kubeConfigOf, mayDo, NAMESPACE } from '../support/cluster-rights.ts';
import { failureOf } from '../support/cluster-store.ts';
import { eventually } from '../support/faults-process.ts';
import { describeIf } from '../support/requires.ts';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';

const ACTIVE_MS = 30_000;
const NODES_PATH = `/apis/${API_VERSION}/namespaces/${NAMESPACE}/aoenodes`;
const TARGETS_PATH = `/apis/${API_VERSION}/namespaces/${NAMESPACE}/aoetargets`;
const FORMATTED = { state: 'formatted', fsType: 'ext4', uuid: 'u' } as const;

const published: Partial<TargetRecord> = {
  state: 'Claimed',
  claim: claimRecord({ epoch: 3 }),
  publications: [{ nodeId: 'n1', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 3 }],
};
const FINGERPRINT = { scheme: 1, sha256: 'ab', sizeBytes: 1, nodeId: 'n1', takenAtMs: 1 };
const withTask = (kind: 'claim' | 'wipe' | 'fence', nodeId: string): Partial<TargetRecord> => ({
  task: { kind, id: kind, nodeId, state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 },
});

describeIf(CONTROL_PLANE, 'rights of controller and node plugins', () => {
  let plane: ControlPlane;
  let controller: KubernetesStore;
  let node: KubernetesStore;
  let unbound: KubernetesStore;
  let ofNode = '';
  let ofController = '';
  let slot = 0;
  let address = '';

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installRights(plane);
    ofController = await kubeConfigOf(plane, 'aoe-csi-controller');
    const ofNobody = await kubeConfigOf(plane, 'aoe-csi-node');
    ofNode = await kubeConfigOf(plane, 'aoe-csi-node', 'n1');
    controller = await KubernetesStore.open({ kubeConfig: ofController, clusterId: 'c' });
    node = await KubernetesStore.open({ kubeConfig: ofNode, clusterId: 'c' });
    unbound = await KubernetesStore.open({ kubeConfig: ofNobody, clusterId: 'c' });
    // A policy is in force some time after it was made.
    await eventually('the policies to be in force', ACTIVE_MS, async () => {
      const other = `probe-${slot++}`;
      return (await failureOf(node.nodes.create(other, nodeRecord(other, [])))).includes('its own AoeNode only');
    });
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => {
    await Promise.all([controller, node, unbound].map(async (store) => store?.close()));
    await plane.end();
  });
  beforeEach(() => {
    address = `e7.${slot++}`;
  });

  const made = async (differences: Partial<TargetRecord>): Promise<void> => {
    await controller.targets.create(address, targetRecord(address, differences));
  };
  const attempt = async (decide: (record: TargetRecord) => TargetRecord): Promise<string> =>
    failureOf(change(node.targets, address, decide));

  test('a node writes its own record and its own lease, and no other', async () => {
    const created = await node.nodes.create('n1', nodeRecord('n1', []));
    const updated = await node.nodes.update('n1', created.version, nodeRecord('n1', ['e1.1']));
    await node.nodes.update('n1', updated.version, nodeRecord('n1', ['e1.1'], { aliveAtMs: Date.now() }));
    expect((await controller.nodes.list()).find(({ name }) => name === 'n1')?.value.aliveAtMs).toBeGreaterThan(0);
    expect(await failureOf(node.nodes.create('n2', nodeRecord('n2', [])))).toMatch(
      /^failed-precondition: .*n1 may write its own AoeNode/s,
    );
    expect(await failureOf(node.nodes.delete('n1', updated.version))).toMatch(/^failed-precondition: .*forbids it/);
    const lease = { metadata: { name: 'leader' }, spec: { holderIdentity: 'n1' } };
    const path = '/apis/coordination.k8s.io/v1/namespaces/aoe-csi/leases';
    await expect(plane.requestBy(ofNode, { method: 'POST', path, body: lease })).rejects.toThrow(/its own Lease only/);
  });

  test('a node shows its own condition, and that of no other', async () => {
    const conditions = [{ type: 'Clock', isGood: false, reason: 'Warning', message: 'it is late' }];
    if ((await node.nodes.get('n1')) === undefined) await node.nodes.create('n1', nodeRecord('n1', []));
    expect(await failureOf(node.showConditions('n1', conditions))).toBe('nothing');
    await plane.request({
      method: 'POST',
      path: NODES_PATH,
      body: { apiVersion: API_VERSION, kind: 'AoeNode', metadata: { name: 'n2' }, spec: nodeRecord('n2', []) },
    });
    expect(await failureOf(node.showConditions('n2', conditions))).toMatch(
      /^failed-precondition: .*n1 may write its own AoeNode/s,
    );
    const involvedObject = { kind: 'AoeNode', name: 'n2', namespace: NAMESPACE };
    const event = { metadata: { name: 'e' }, involvedObject, reason: 'Clock', message: 'it is late' };
    const path = `/api/v1/namespaces/${NAMESPACE}/events`;
    await expect(plane.requestBy(ofNode, { method: 'POST', path, body: event })).rejects.toThrow(/events about its own AoeNode/);
  });

  test('a controller forgets a node, and its lease', async () => {
    const of4 = await KubernetesStore.open({ kubeConfig: await kubeConfigOf(plane, 'aoe-csi-node', 'n4'), clusterId: 'c' });
    try {
      const created = await of4.nodes.create('n4', nodeRecord('n4', []));
      await of4.nodes.update('n4', created.version, nodeRecord('n4', [], { aliveAtMs: Date.now() }));
    } finally {
      await of4.close();
    }
    expect(await controller.isGone('n4')).toBe(false);
    await plane.request({ method: 'DELETE', path: '/api/v1/nodes/n4' });
    expect(await controller.isGone('n4')).toBe(true);
    const { version } = (await controller.nodes.get('n4'))!;
    await controller.nodes.delete('n4', version);
    expect(await controller.nodes.get('n4')).toBeUndefined();
    const lease = { method: 'GET', path: `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/aoe-csi-node.n4` } as const;
    await expect(plane.request(lease)).rejects.toThrow(/404/);
  });

  test('a token that is bound to no node writes nothing', async () => {
    expect(await failureOf(unbound.nodes.create('n3', nodeRecord('n3', [])))).toMatch(/must be bound to a pod/);
    await made({ ...published, ...withTask('wipe', '') });
    expect(await failureOf(change(unbound.targets, address, (record) => ({ ...record, reason: 'x' })))).toMatch(
      /^failed-precondition/,
    );
  });

  test('a node that has nothing to do with a target can not write it, nor make or delete one', async () => {
    await made({ ...withTask('wipe', 'n2') });
    expect(await attempt((record) => ({ ...record, reason: 'x' }))).toMatch(/n1 has no task on this target/);
    expect(await failureOf(node.targets.create('e8.1', targetRecord('e8.1')))).toMatch(/^failed-precondition: .*forbids it/);
    const { version } = (await node.targets.get(address))!;
    expect(await failureOf(node.targets.delete(address, version))).toMatch(/^failed-precondition: .*forbids it/);
  });

  test('the holder of a volume says how far its format is and what the disk holds, and nothing else', async () => {
    await made(published);
    const formatted = (record: TargetRecord): TargetRecord => ({
      ...record,
      claim: { ...record.claim!, format: FORMATTED, fingerprint: FINGERPRINT },
    });
    expect(await attempt(formatted)).toBe('nothing');
    const claimed =
      (differences: object) =>
      (record: TargetRecord): TargetRecord => ({ ...record, claim: { ...record.claim!, ...differences } });
    for (const forbidden of [
      claimed({ epoch: 4 }),
      claimed({ capacityBytes: 1 }),
      claimed({ confirmed: false }),
      claimed({ parameters: { wipe: 'none' } }),
      (record: TargetRecord): TargetRecord => ({ ...record, claim: undefined }),
      (record: TargetRecord): TargetRecord => ({ ...record, publications: [] }),
      (record: TargetRecord): TargetRecord => ({ ...record, state: 'Available' }),
      (record: TargetRecord): TargetRecord => ({ ...record, reason: 'x' }),
      (record: TargetRecord): TargetRecord => ({ ...record, fencing: 'none' }),
      (record: TargetRecord): TargetRecord => ({ ...record, ...withTask('wipe', 'n1') }),
    ]) {
      expect(await attempt(forbidden)).toMatch(/^failed-precondition: .*aoe\.csi\.dev-node-targets/s);
    }
  });

  test('a node that may write a target changes nothing of its metadata, but for the mark of a write that changes nothing', async () => {
    await made({ ...published, ...withTask('fence', 'n1') });
    const path = `${TARGETS_PATH}/${address}`;
    const patched = async (kubeConfig: string, metadata: object): Promise<string> =>
      failureOf(
        plane.requestBy(kubeConfig, { method: 'PATCH', path, body: { metadata }, contentType: 'application/merge-patch+json' }),
      );
    expect(await patched(plane.admin, { labels: { of: 'people' }, annotations: { of: 'people' } })).toBe('nothing');
    for (const forbidden of [
      { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid: '00000000-0000-0000-0000-000000000000' }] },
      { finalizers: ['example.com/never'] },
      { labels: { other: 'label' } },
      { labels: null },
      { annotations: { other: 'annotation' } },
      { annotations: { of: 'somebody else' } },
      { annotations: null },
    ]) {
      expect(await patched(ofNode, forbidden)).toMatch(/a node changes no metadata of a target/);
    }
    const { version, value } = (await node.targets.get(address))!;
    const again = await node.targets.update(address, version, value);
    expect(again.version).not.toBe(version);
    // The annotation is there by now.
    expect(await failureOf(node.targets.update(address, again.version, value))).toBe('nothing');
  });

  test('a claim task takes no target from a volume that is confirmed: there may be data', async () => {
    const claim = claimRecord();
    await made({ state: 'Claimed', claim, ...withTask('claim', 'n1') });
    const foreign = { state: 'Foreign', reason: 'claimed by x', task: undefined } as const;
    expect(await attempt((record) => ({ ...record, ...foreign, claim: undefined }))).toMatch(/outcome of its task/);
    expect(await attempt((record) => ({ ...record, ...foreign }))).toMatch(/outcome of its task/);
    expect(await attempt((record) => ({ ...record, claim: { ...claim, confirmed: false } }))).toMatch(/of a claim a node says/);
    expect(await attempt((record) => ({ ...record, reason: 'the target is claimed by x', task: undefined }))).toBe('nothing');
  });

  test('what a disk holds is said by who has its volume, and withdrawn by who wipes it', async () => {
    const claim = claimRecord({ epoch: 3, fingerprint: FINGERPRINT });
    const other = { ...FINGERPRINT, sha256: 'cd' };
    const says = async (fingerprint: typeof other | undefined): Promise<string> =>
      attempt((record) => ({ ...record, claim: { ...record.claim!, fingerprint } }));
    for (const [kind, state] of [
      ['fence', 'Claimed'],
      ['claim', 'Claimed'],
      ['wipe', 'Released'],
    ] as const) {
      address = `e7.${slot++}`;
      await made({ state, claim, ...withTask(kind, 'n1') });
      expect(await says(other)).toMatch(/of a claim a node says/);
      expect(await says(undefined)).toMatch(kind === 'wipe' ? /^nothing$/ : /of a claim a node says/);
    }
    address = `e7.${slot++}`;
    await made({ ...published, claim: { ...claim, fingerprint: undefined } });
    expect(await says(FINGERPRINT)).toBe('nothing');
    expect(await says(undefined)).toBe('nothing');
  });

  test('a claim task ends with the claim confirmed, or with a target that is somebody else’s', async () => {
    const claim = claimRecord({ confirmed: false });
    await made({ state: 'Claimed', claim, ...withTask('claim', 'n1') });
    expect(await attempt((record) => ({ ...record, claim: { ...claim, confirmed: true }, task: undefined }))).toBe('nothing');
    address = `e7.${slot++}`;
    await made({ state: 'Claimed', claim, ...withTask('claim', 'n1') });
    expect(await attempt((record) => ({ ...record, state: 'Available', claim: undefined, task: undefined }))).toMatch(
      /outcome of its task/,
    );
    const foreign = { state: 'Foreign', reason: 'claimed by x', claim: undefined, task: undefined } as const;
    expect(await attempt((record) => ({ ...record, ...foreign }))).toBe('nothing');
  });

  test('a wipe task goes through Wiping to Available; a fence task can only be done', async () => {
    await made({ ...published, state: 'Released', ...withTask('wipe', 'n1') });
    const running = (record: TargetRecord): TargetRecord => ({
      ...record,
      state: 'Wiping',
      task: { ...record.task!, state: 'running', doneBytes: 1 },
    });
    expect(await attempt(running)).toBe('nothing');
    expect(await attempt((record) => ({ ...record, task: { ...record.task!, nodeId: 'n2' } }))).toMatch(
      /handed out by controllers/,
    );
    const free = { state: 'Available', reason: '', claim: undefined, publications: [], task: undefined } as const;
    expect(await attempt((record) => ({ ...record, ...free }))).toBe('nothing');
    address = `e7.${slot++}`;
    await made({ ...published, ...withTask('fence', 'n1') });
    expect(await attempt((record) => ({ ...record, publications: [] }))).toMatch(/to whom a volume is published/);
    expect(await attempt((record) => ({ ...record, task: { ...record.task!, state: 'done' } }))).toBe('nothing');
  });

  test.each([
    ['list', 'secrets', false, false],
    ['get', 'secrets', false, false],
    ['create', 'pods', false, false],
    ['delete', 'pods', false, false],
    ['get', 'nodes', false, true],
    ['patch', 'nodes', false, false],
    ['delete', 'persistentvolumes', false, true],
    ['delete', 'persistentvolumeclaims', false, false],
    ['patch', 'persistentvolumeclaims/status', false, true],
    ['create', 'volumeattachments@storage.k8s.io', false, false],
    ['patch', 'volumeattachments@storage.k8s.io', false, true],
    ['patch', 'storageclasses@storage.k8s.io', false, false],
    ['patch', 'customresourcedefinitions@apiextensions.k8s.io', false, false],
    ['create', 'clusterrolebindings@rbac.authorization.k8s.io', false, false],
    ['patch', 'validatingadmissionpolicies@admissionregistration.k8s.io', false, false],
    ['list', 'aoetargets@aoe.csi.dev', false, false],
  ])('in the cluster, %s %s: node %s, controller %s', async (verb, what, mayNode, mayController) => {
    expect(await mayDo(plane, ofNode, verb, what)).toBe(mayNode);
    expect(await mayDo(plane, ofController, verb, what)).toBe(mayController);
  });

  test.each([
    ['get', 'secrets', false, false],
    ['create', 'pods', false, false],
    ['get', 'pods', false, true],
    ['patch', 'leases@coordination.k8s.io', true, false],
    ['update', 'leases@coordination.k8s.io', false, false],
    ['update', 'leases:aoe-csi-dev@coordination.k8s.io', false, true],
    ['update', 'leases:external-attacher-leader-aoe-csi-dev@coordination.k8s.io', false, true],
    ['update', 'leases:external-resizer-aoe-csi-dev@coordination.k8s.io', false, true],
    ['delete', 'leases@coordination.k8s.io', false, true],
    ['create', 'configmaps', false, false],
    ['patch', 'events', false, true],
    ['patch', 'aoenodes@aoe.csi.dev', true, false],
    ['patch', 'aoenodes/status@aoe.csi.dev', true, false],
    ['update', 'aoenodes/status@aoe.csi.dev', false, false],
    ['delete', 'aoenodes@aoe.csi.dev', false, true],
    ['delete', 'aoetargets@aoe.csi.dev', false, true],
    ['create', 'roles@rbac.authorization.k8s.io', false, false],
  ])('in its namespace, %s %s: node %s, controller %s', async (verb, what, mayNode, mayController) => {
    expect(await mayDo(plane, ofNode, verb, what, NAMESPACE)).toBe(mayNode);
    expect(await mayDo(plane, ofController, verb, what, NAMESPACE)).toBe(mayController);
  });

  test('a controller writes no record of a node', async () => {
    expect(await failureOf(controller.nodes.create('n9', nodeRecord('n9', [])))).toMatch(/^failed-precondition: .*forbids it/);
  });
});
