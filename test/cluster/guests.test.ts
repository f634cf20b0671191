import { FIRST } from '../support/cluster-driver.ts';
import { guestNodes } from '../support/cluster-guest-node.ts';
import { CONTROLLERS_ONLY } from '../support/cluster.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { initiators } from './guest-cases/initiators.ts';
import { kernelDevice } from './guest-cases/kernel-device.ts';
import { machines } from './guest-cases/machines.ts';
import { storageNetwork } from './guest-cases/storage-network.ts';

/** As the chart has it, but for what must be given, and that controllers with their sidecars leave slow nodes their time. */
const installation = {
  ...FIRST,
  differences: {
    node: { affinity: { nodeAffinity: needs('DoesNotExist') } },
    controller: { affinity: { nodeAffinity: needs('Exists') }, tolerations: [{ key: CONTROLLERS_ONLY, operator: 'Exists' }] },
  },
};

function needs(operator: 'Exists' | 'DoesNotExist'): object {
  const nodeSelectorTerms = [{ matchExpressions: [{ key: CONTROLLERS_ONLY, operator }] }];
  return { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } };
}

/** Nodes with a kernel of their own, where volumes are the kernel's devices: docs/testing-cluster.md. */
inACluster('a cluster of guests', { kind: guestNodes(), installation }, [kernelDevice, initiators, machines, storageNetwork]);
