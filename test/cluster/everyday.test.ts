import { NATIVE } from '../support/cluster-native-node.ts';
import { accessModes } from './cases/access-modes.ts';
import { attributes } from './cases/attributes.ts';
import { chart } from './cases/chart.ts';
import { classes } from './cases/classes.ts';
import { expansion } from './cases/expansion.ts';
import { figures } from './cases/figures.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { outages } from './cases/outages.ts';
import { pods } from './cases/pods.ts';
import { thinPath } from './cases/thin-path.ts';

/** What every change is tested with: within ten minutes on two cores. The rest of the list is in seldom.test.ts. */
inACluster('a cluster', { kind: NATIVE }, [thinPath, accessModes, pods, attributes, classes, expansion, outages, chart, figures]);
