import { accessModes } from './cases/access-modes.ts';
import { chart } from './cases/chart.ts';
import { classes } from './cases/classes.ts';
import { expansion } from './cases/expansion.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { outages } from './cases/outages.ts';
import { thinPath } from './cases/thin-path.ts';

/** What every change is tested with: within ten minutes on two cores. The rest of the list is in seldom.test.ts. */
inACluster('a cluster', {}, [thinPath, accessModes, classes, expansion, outages, chart]);
