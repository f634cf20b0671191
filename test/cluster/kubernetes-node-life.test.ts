import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LEASE_NAME } from '../../src/kubernetes/leader-lease.ts';
import { KubernetesStore } from '../../src/kubernetes/kubernetes-store.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { installRights, kubeConfigOf, NAMESPACE } from '../support/cluster-rights.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { WRITER } from '../support/controller-service.ts';
import { eventually } from '../support/faults-process.ts';
import { CLUSTER_ID, withNode, type NodeLaboratory, type StorePlace } from '../support/node-laboratory.ts';
import { LIFE_BYTES, live } from '../support/node-life.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { describeIf } from '../support/requires.ts';

const FREE_MS = 30_000;
/** Nothing happens for so long; ten minutes (600) to believe it. */
const QUIET_MS = Number(process.env['AOE_CSI_TEST_QUIET_SECONDS'] ?? 20) * 1_000;
const SETTLE_MS = 5_000;
const LIFE_MS = 120_000;
const WRITING = ['create', 'update', 'patch', 'delete', 'deletecollection'];

describeIf([...CONTROL_PLANE, ...NODE_REQUIREMENTS], 'a volume on a node, with the store in Kubernetes', () => {
  let plane: ControlPlane;
  let store: StorePlace;
  let ofController = '';

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installRights(plane, CLUSTER_ID);
    ofController = await kubeConfigOf(plane, 'aoe-csi-controller');
    const node = await kubeConfigOf(plane, 'aoe-csi-node', 'node-1');
    store = {
      place: `kubernetes:${NAMESPACE}`,
      environment: { KUBECONFIG: node },
      open: async () => KubernetesStore.open({ kubeConfig: ofController, clusterId: CLUSTER_ID }),
    };
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => plane.end());

  test('lives its whole life, from the claim to the wipe, with the rights that controller and node have', async () => {
    await withNode({ disks: { 'e10.1': LIFE_BYTES }, store }, async (lab) => {
      const node = await lab.startNode();
      await live(lab, node, 'ext4');
      requireRights();
    });
  });

  test('is made, used and wiped through controller and node plugin as processes', async () => {
    await withNode({ disks: { 'e10.1': LIFE_BYTES }, store }, async (lab) => {
      const node = await lab.startNode();
      await withController(lab, async (controller) => {
        const capacityRange = { requiredBytes: LIFE_BYTES / 2 };
        const created = await controller.insist('CreateVolume', { name: 'pvc-1', capacityRange, volumeCapabilities: [WRITER] });
        const { volumeId = '' } = created.volume ?? {};
        const publish = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
        const { publishContext } = await controller.insist('ControllerPublishVolume', publish);
        const volume = new NodeVolume(lab, node, volumeId, 'ext4');
        volume.epoch = Number(publishContext['epoch']);
        await volume.stage();
        await volume.publish();
        volume.write('x');
        expect(volume.read()).toBe('x');
        await volume.unpublish();
        await volume.unstage();
        await controller.insist('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
        await controller.insist('DeleteVolume', { volumeId });
        await eventually('the target to be free again', FREE_MS, async () => (await lab.record('e10.1')).state === 'Available');
        requireRights();
      });
    });
  });

  test(
    `in use, costs the API server one small write a minute, in ${String(QUIET_MS / 1_000)} s`,
    async () => {
      await withNode({ disks: { 'e10.1': LIFE_BYTES }, store }, async (lab) => {
        const node = await lab.startNode();
        await withController(lab, async () => {
          const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), 'ext4');
          await volume.stage();
          await volume.publish();
          await sleep(SETTLE_MS);
          const before = plane.audited().length;
          const endMs = performance.now() + QUIET_MS;
          for (let writes = 0; performance.now() < endMs; writes++) {
            volume.write(`pods write all the time: ${String(writes)}`);
            await sleep(250);
          }
          // The API server keeps a lease of its own, elsewhere.
          const ours = plane
            .audited()
            .slice(before)
            .filter(({ objectRef }) => objectRef.namespace === NAMESPACE);
          const written = ours.filter(({ verb }) => WRITING.includes(verb));
          const resources = written.map(({ verb, objectRef }) => `${verb} ${objectRef.resource}`);
          console.log(`API writes in ${String(QUIET_MS / 1_000)} s with a volume in use: ${resources.join(', ') || 'none'}`);
          // A lease for each node, once a minute, and that of the controller that is elected.
          expect(resources.filter((each) => !each.endsWith(' leases'))).toEqual([]);
          const ofNodes = written.filter(({ objectRef }) => objectRef.name !== LEASE_NAME);
          expect(ofNodes.length).toBeLessThanOrEqual(Math.ceil(QUIET_MS / 60_000) + 1);
          expect(written.length - ofNodes.length).toBeLessThanOrEqual(Math.ceil(QUIET_MS / 5_000) + 1);
          await volume.unpublish();
          await volume.unstage();
        });
      });
    },
    QUIET_MS + LIFE_MS,
  );

  const withController = async (lab: NodeLaboratory, run: (controller: ControllerProcess) => Promise<void>): Promise<void> => {
    const environment = { KUBECONFIG: ofController };
    const controller = new ControllerProcess(lab.folder('controller'), { ...store, environment, clusterId: CLUSTER_ID });
    try {
      await controller.start();
      await run(controller);
    } finally {
      await controller.end();
    }
  };

  /** Each wrote as who it is, and nothing that it did was refused. */
  const requireRights = (): void => {
    const { user } = plane.audited().findLast(({ verb, objectRef }) => verb === 'patch' && objectRef.resource === 'aoenodes')!;
    expect(user.username).toBe(`system:serviceaccount:${NAMESPACE}:aoe-csi-node`);
    const refused = plane.audited().filter(({ responseStatus }) => responseStatus.code === 403 || responseStatus.code === 422);
    expect(refused).toEqual([]);
  };
});
