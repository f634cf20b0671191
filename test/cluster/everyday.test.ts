import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { ClusterDriver } from '../support/cluster-driver.ts';
import { driverImages } from '../support/cluster-driver-images.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CLUSTER } from '../support/cluster-requirements.ts';
import { Workloads } from '../support/cluster-workloads.ts';
import { Cluster } from '../support/cluster.ts';
import { patiently } from '../support/patience.ts';
import { describeIf } from '../support/requires.ts';
import { accessModes } from './cases/access-modes.ts';
import { chart } from './cases/chart.ts';
import { classes } from './cases/classes.ts';
import { outages } from './cases/outages.ts';
import { expansion } from './cases/expansion.ts';
import { timed } from './cases/given.ts';
import { releases } from './cases/releases.ts';
import { thinPath } from './cases/thin-path.ts';

const MIB = 1024 * 1024;
const CLEAN_MS = patiently(120_000);
const TARGETS = { 'e10.1': 128 * MIB, 'e10.2': 128 * MIB };

describeIf(CLUSTER, 'a cluster', () => {
  let cluster: Cluster;
  let driver: ClusterDriver;
  let work: Workloads;
  let cases = 0;

  beforeAll(async () => {
    const images = await timed('images', driverImages);
    cluster = await timed('nodes are ready', async () => Cluster.start(images));
    for (const [name, sizeBytes] of Object.entries(TARGETS)) await cluster.targets.add(name, sizeBytes);
    driver = new ClusterDriver(cluster);
    await timed('the driver is installed and ready', async () => driver.install());
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => timed('all is removed', async () => cluster?.end()), CLEAN_MS);
  beforeEach(async () => {
    work = await Workloads.create(cluster, `case-${++cases}`);
  }, CLEAN_MS);
  afterEach(async () => work.remove(), CLEAN_MS);

  const given = {
    disks: Object.keys(TARGETS),
    get cluster() {
      return cluster;
    },
    get driver() {
      return driver;
    },
    get work() {
      return work;
    },
    otherNode: (name: string) => cluster.nodes.map((node) => node.name).find((other) => other !== name) ?? '',
  };
  thinPath(given);
  accessModes(given);
  classes(given);
  expansion(given);
  releases(given);
  outages(given);
  chart(given);
});
