import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { ClusterDriver, type Installation } from '../../support/cluster-driver.ts';
import { driverImages } from '../../support/cluster-driver-images.ts';
import type { ClusterNode, NodeKind } from '../../support/cluster-node.ts';
import { PROGRAMS_BUILD_MS } from '../../support/cluster-programs.ts';
import { Workloads } from '../../support/cluster-workloads.ts';
import { Cluster } from '../../support/cluster.ts';
import { patiently } from '../../support/patience.ts';
import { describeIf } from '../../support/requires.ts';
import { timed, type Given } from './given.ts';

const MIB = 1024 * 1024;
const CLEAN_MS = 120_000;
const TARGETS = { 'e10.1': 128 * MIB, 'e10.2': 128 * MIB };

export interface ClusterOptions<Node extends ClusterNode> {
  readonly kind: NodeKind<Node>;
  /** Undefined for the one that everyday has. */
  readonly installation?: Installation;
  /** What is done between the start of the cluster and the installation of the driver. */
  readonly prepare?: (cluster: Cluster<Node>) => void;
}

/** A cluster with the driver in it, which cases share one after the other. */
export function inACluster<Node extends ClusterNode>(
  name: string,
  { kind, installation, prepare }: ClusterOptions<Node>,
  cases: readonly ((given: Given<Node>) => void)[],
): void {
  const cleanMs = patiently(CLEAN_MS * kind.slowness);
  describeIf(kind.requirements, name, () => {
    let cluster: Cluster<Node>;
    let driver: ClusterDriver;
    let work: Workloads | undefined;
    let number = 0;

    beforeAll(async () => {
      const images = await timed('images', driverImages);
      cluster = await timed('nodes are ready', async () => Cluster.start(kind, images));
      prepare?.(cluster);
      for (const [target, sizeBytes] of Object.entries(TARGETS)) await cluster.targets.add(target, sizeBytes);
      driver = new ClusterDriver(cluster, installation);
      await timed('the driver is installed and ready', async () => driver.install());
    }, PROGRAMS_BUILD_MS);
    afterAll(async () => timed('all is removed', async () => cluster?.end()), cleanMs);
    beforeEach(async () => {
      work = await Workloads.create(cluster, `case-${++number}`);
    }, cleanMs);
    // Undefined where nothing could be started: then that is what shall be read.
    afterEach(async () => work?.remove(), cleanMs);

    const given: Given<Node> = {
      slowness: kind.slowness,
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
