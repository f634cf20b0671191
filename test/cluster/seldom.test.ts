import { FIRST, NODE_VALUES, type Installation } from '../support/cluster-driver.ts';
import { NATIVE } from '../support/cluster-native-node.ts';
import { SAN_INTERFACE } from '../support/cluster-network.ts';
import { controlPlane } from './cases/control-plane.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { CLASS_SECOND, interfaces, SECOND_INTERFACE } from './cases/interfaces.ts';
import { manyPods } from './cases/pods.ts';
import { readers } from './cases/readers.ts';
import { releases } from './cases/releases.ts';
import { sanity, VOLUMES_MAX } from './cases/sanity.ts';
import { targets } from './cases/targets.ts';

/** For nodes that are not wired alike, and for csi-sanity. */
const INSTALLATION: Installation = {
  ...FIRST,
  storageClasses: [
    ...FIRST.storageClasses,
    { name: CLASS_SECOND, volumeBindingMode: 'Immediate', parameters: { interfaces: SECOND_INTERFACE } },
  ],
  more: {
    interfaces: [SAN_INTERFACE, SECOND_INTERFACE],
    node: {
      ...NODE_VALUES,
      volumesMax: VOLUMES_MAX,
      networks: { first: [SAN_INTERFACE], second: [SECOND_INTERFACE] },
    },
  },
};

/** The rest of the list, which takes its time: `npm run test:cluster -- --all` (docs/testing-cluster.md). */
inACluster(
  'a cluster, seldom',
  {
    kind: NATIVE,
    installation: INSTALLATION,
    prepare: ({ network, nodes }) => network.plugStorage(nodes[0].network, SECOND_INTERFACE),
  },
  [readers, interfaces, targets, manyPods, sanity, controlPlane, releases],
);
