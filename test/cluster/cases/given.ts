import { test } from '@jest/globals';
import type { ClusterDriver } from '../../support/cluster-driver.ts';
import type { ClusterNode } from '../../support/cluster-node.ts';
import type { Workloads } from '../../support/cluster-workloads.ts';
import type { Cluster } from '../../support/cluster.ts';
import { patiently } from '../../support/patience.ts';

const CASE_MS = 240_000;

/** What a case is given: a cluster that it shares with the others, and a namespace of its own. */
export interface Given<Node extends ClusterNode = ClusterNode> {
  readonly cluster: Cluster<Node>;
  readonly driver: ClusterDriver;
  readonly work: Workloads;
  /** The targets that are there at the beginning and the end of each case, all free. */
  readonly disks: readonly string[];
  readonly otherNode: (name: string) => string;
  /** How many times longer a case may take than with native nodes. */
  readonly slowness: number;
}

/** A test, which says how long it took, and keeps what tells why it failed. */
export function clusterCase(given: Given, name: string, run: () => Promise<void>): void {
  const kept = async (): Promise<void> => {
    try {
      await run();
    } catch (error) {
      await given.cluster.keep();
      throw error;
    }
  };
  test(name, async () => timed(name, kept), patiently(CASE_MS * given.slowness));
}

/** Says what was measured. */
export function figure(text: string): void {
  process.stderr.write(`cluster: ${text}\n`);
}

/** Says how long something took. */
export async function timed<T>(what: string, run: () => T | Promise<T>): Promise<T> {
  const startMs = performance.now();
  try {
    return await run();
  } finally {
    figure(`${((performance.now() - startMs) / 1000).toFixed(1)} s: ${what}`);
  }
}
