import { expect } from '@jest/globals';
import { PodWriter } from '../../support/cluster-pod-writer.ts';
import { figure } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';

/** Initiators start, and dead frames are waited out. */
const GOES_ON_MS = 120_000;

/** A pod that writes while something happens. */
export interface Scene {
  readonly writer: PodWriter;
  /** Where it runs. */
  readonly node: string;
  /** What its volume is on. */
  readonly target: string;
}

/**
 * A pod writes, something happens, and the pod writes on: none of its writes has failed, it has not been started anew, and nothing
 * that was durable is missing. Says how long a write has had to wait.
 */
export async function whileWriting(given: GuestsGiven, what: string, happen: (scene: Scene) => Promise<void>): Promise<void> {
  const { cluster, work } = given;
  const writer = new PodWriter(cluster, work);
  const node = await writer.start();
  const before = writer.last;
  await happen({ writer, node, target: await work.bound(writer.claim) });
  await writer.writesOn(GOES_ON_MS);
  figure(`${what}: a write waited for ${String(writer.longestWait(before))} s`);
  const { status } = await work.get('pod', writer.pod);
  expect(status?.['containerStatuses']).toEqual([expect.objectContaining({ restartCount: 0 })]);
  await writer.requireAllIn(writer.pod);
}
