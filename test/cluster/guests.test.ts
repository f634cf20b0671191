import { FIRST } from '../support/cluster-driver.ts';
import { guestNodes } from '../support/cluster-guest-node.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { kernelDevice } from './guest-cases/kernel-device.ts';

/** As the chart has it, but for what must be given. */
const installation = { ...FIRST, differences: {} };

/** Nodes with a kernel of their own, where volumes are the kernel's devices: docs/testing-cluster.md. */
inACluster('a cluster of guests', { kind: guestNodes(), installation }, [kernelDevice]);
