import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { KubernetesStore } from '../../src/kubernetes/kubernetes-store.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { CONTROL_PLANE, PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { installRights, kubeConfigOf, NAMESPACE } from '../support/cluster-rights.ts';
import { installCrds } from '../support/cluster-store.ts';
import { CLUSTER_ID, withNode, type StorePlace } from '../support/node-laboratory.ts';
import { LIFE_BYTES, live } from '../support/node-life.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { describeIf } from '../support/requires.ts';

describeIf([...CONTROL_PLANE, ...NODE_REQUIREMENTS], 'a volume on a node, with the store in Kubernetes', () => {
  let plane: ControlPlane;
  let store: StorePlace;

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installCrds(plane);
    await installRights(plane);
    const controller = await kubeConfigOf(plane, 'aoe-csi-controller');
    const node = await kubeConfigOf(plane, 'aoe-csi-node', 'node-1');
    store = {
      place: `kubernetes:${NAMESPACE}`,
      environment: { KUBECONFIG: node },
      open: async () => KubernetesStore.open({ kubeConfig: controller, clusterId: CLUSTER_ID }),
    };
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => plane.end());

  test('lives its whole life, from the claim to the wipe, with the rights that controller and node have', async () => {
    await withNode({ disks: { 'e10.1': LIFE_BYTES }, store }, async (lab) => {
      const node = await lab.startNode();
      await live(lab, node, 'ext4');
      const { user } = plane.audited().findLast(({ verb, objectRef }) => verb === 'patch' && objectRef.resource === 'aoenodes')!;
      expect(user.username).toBe(`system:serviceaccount:${NAMESPACE}:aoe-csi-node`);
      const refused = plane.audited().filter(({ responseStatus }) => responseStatus.code === 403 || responseStatus.code === 422);
      expect(refused).toEqual([]);
    });
  });
});
