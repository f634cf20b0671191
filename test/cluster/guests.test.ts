import { FIRST } from '../support/cluster-driver.ts';
import { guestNodes } from '../support/cluster-guest-node.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { initiators } from './guest-cases/initiators.ts';
import { kernelDevice } from './guest-cases/kernel-device.ts';
import { machines } from './guest-cases/machines.ts';
import { storageNetwork } from './guest-cases/storage-network.ts';

/** As the chart has it, but for what must be given; a second controller would take time from slow nodes. */
const installation = { ...FIRST, differences: { controller: { replicas: 1 } } };

/** Nodes with a kernel of their own, where volumes are the kernel's devices: docs/testing-cluster.md. */
inACluster('a cluster of guests', { kind: guestNodes(), installation }, [kernelDevice, initiators, machines, storageNetwork]);
