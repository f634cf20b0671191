import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { ClusterLaboratory, installCrds } from '../support/cluster-store.ts';
import { MAIN } from '../support/program.ts';
import { describeIf } from '../support/requires.ts';
import { nodeRecord, targetRecord } from '../support/volumes-records.ts';

describeIf(CONTROL_PLANE, 'aoe-csi import with the store in Kubernetes', () => {
  let plane: ControlPlane;
  let laboratory: ClusterLaboratory;

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installCrds(plane);
    laboratory = await ClusterLaboratory.make(plane);
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => {
    await laboratory.remove();
    await plane.end();
  });

  test.each([
    ['a file system', 'e10.3', ['--claim', '--fs-type', 'xfs', '--pvc', 'default/data']],
    ['a raw device for one pod', 'e10.4', ['--volume-mode', 'Block', '--access-mode', 'ReadWriteOncePod', '--name', 'raw']],
    ['what many nodes read', 'e10.5', ['--access-mode', 'ReadOnlyMany', '--name', 'shared', '--attribute', 'deadSeconds=60']],
  ])('writes what the API server takes for a PersistentVolume: %s', async (_what, address, words) => {
    const store = await laboratory.open();
    await store.targets.create(address, targetRecord(address));
    const segments = { 'topology.aoe.csi.dev/san-a': 'true' };
    await store.nodes.create(`sees-${address}`, nodeRecord(`sees-${address}`, [address], { segments }));
    const place = ['--store', `kubernetes:${laboratory.namespace}`];
    const env = { ...process.env, KUBECONFIG: plane.admin };
    const body = execFileSync(process.execPath, [MAIN, 'import', address, ...place, ...words], { env, encoding: 'utf8' });

    const path = '/api/v1/persistentvolumes';
    const query = { fieldValidation: 'Strict' };
    const made = await plane.request({ method: 'POST', path, query, body, contentType: 'application/yaml' });
    expect(made).toMatchObject({
      spec: {
        capacity: { storage: '100Gi' },
        csi: { driver: 'aoe.csi.dev', volumeHandle: address },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'topology.aoe.csi.dev/san-a', operator: 'In', values: ['true'] }] }],
          },
        },
      },
    });
  });
});
