import { afterAll, beforeAll } from '@jest/globals';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { ClusterLaboratory, installCrds } from '../support/cluster-store.ts';
import { describeIf } from '../support/requires.ts';
import { describeStore } from '../support/store-conformance.ts';

describeIf(CONTROL_PLANE, 'with an API server', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installCrds(plane);
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => plane.end());

  describeStore('Kubernetes store', async () => ClusterLaboratory.make(plane));
});
