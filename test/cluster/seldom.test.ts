import { controlPlane } from './cases/control-plane.ts';
import { inACluster } from './cases/in-a-cluster.ts';
import { releases } from './cases/releases.ts';

/** The rest of the list, which takes its time: `npm run test:cluster -- --all` (docs/testing-cluster.md). */
inACluster('a cluster, seldom', {}, [controlPlane, releases]);
