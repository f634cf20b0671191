import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { ClusterDriver, type Installation } from '../../support/cluster-driver.ts';
import { driverImages } from '../../support/cluster-driver-images.ts';
import type { NativeNode } from '../../support/cluster-native-node.ts';
import { PROGRAMS_BUILD_MS } from '../../support/cluster-programs.ts';
import { CLUSTER } from '../../support/cluster-requirements.ts';
import { Workloads } from '../../support/cluster-workloads.ts';
import { Cluster } from '../../support/cluster.ts';
import { patiently } from '../../support/patience.ts';
import { describeIf } from '../../support/requires.ts';
import { timed, type Given } from './given.ts';

const MIB = 1024 * 1024;
const CLEAN_MS = patiently(120_000);
const TARGETS = { 'e10.1': 128 * MIB, 'e10.2': 128 * MIB };

export interface ClusterOptions {
  /** Undefined for the one that everyday has. */
  readonly installation?: Installation;
  /** What is done between the start of the cluster and the installation of the driver. */
  readonly prepare?: (cluster: Cluster<NativeNode>) => void;
}

/** A cluster with the driver in it, which cases share one after the other. */
export function inACluster(
  name: string,
  { installation, prepare }: ClusterOptions,
  cases: readonly ((given: Given) => void)[],
): void {
  describeIf(CLUSTER, name, () => {
    let cluster: Cluster<NativeNode>;
    let driver: ClusterDriver;
    let work: Workloads | undefined;
    let number = 0;

    beforeAll(async () => {
      const images = await timed('images', driverImages);
      cluster = await timed('nodes are ready', async () => Cluster.start(images));
      prepare?.(cluster);
      for (const [target, sizeBytes] of Object.entries(TARGETS)) await cluster.targets.add(target, sizeBytes);
      driver = new ClusterDriver(cluster, installation);
      await timed('the driver is installed and ready', async () => driver.install());
    }, PROGRAMS_BUILD_MS);
    afterAll(async () => timed('all is removed', async () => cluster?.end()), CLEAN_MS);
    beforeEach(async () => {
      work = await Workloads.create(cluster, `case-${++number}`);
    }, CLEAN_MS);
    // Undefined where nothing could be started: then that is what shall be read.
    afterEach(async () => work?.remove(), CLEAN_MS);

    const given: Given = {
      disks: Object.keys(TARGETS),
      get cluster() {
        return cluster;
      },
      get driver() {
        return driver;
      },
      get work() {
        if (work === undefined) throw new Error('the case has no namespace yet');
        return work;
      },
      otherNode: (one) => cluster.nodes.map((node) => node.name).find((other) => other !== one) ?? '',
    };
    for (const declare of cases) declare(given);
  });
}
