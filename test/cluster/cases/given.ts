import { test } from '@jest/globals';
import type { ClusterDriver } from '../../support/cluster-driver.ts';
import type { Workloads } from '../../support/cluster-workloads.ts';
import type { Cluster } from '../../support/cluster.ts';
import { patiently } from '../../support/patience.ts';

const CASE_MS = patiently(240_000);

/** What a case is given: a cluster that it shares with the others, and a namespace of its own. */
export interface Given {
  readonly cluster: Cluster;
  readonly driver: ClusterDriver;
  readonly work: Workloads;
  /** The targets that are there at the beginning and the end of each case, all free. */
  readonly disks: readonly string[];
  readonly otherNode: (name: string) => string;
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
  test(name, async () => timed(name, kept), CASE_MS);
}

/** Says how long something took. */
export async function timed<T>(what: string, run: () => T | Promise<T>): Promise<T> {
  const startMs = performance.now();
  try {
    return await run();
  } finally {
    process.stderr.write(`cluster: ${((performance.now() - startMs) / 1000).toFixed(1)} s: ${what}\n`);
  }
}
