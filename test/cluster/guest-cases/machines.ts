import { expect } from '@jest/globals';
import { PodWriter } from '../../support/cluster-pod-writer.ts';
import { failOver } from '../cases/failover.ts';
import { clusterCase, figure } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';

const HEAL_MS = 120_000;

/** What happens to whole nodes. */
export function machines(given: GuestsGiven): void {
  clusterCase(given, 'the power of a node is cut, it starts again, and its pod goes on with all that was durable', async () => {
    const { cluster, driver, work } = given;
    const writer = new PodWriter(cluster, work);
    const name = await writer.start();
    const before = writer.last;
    const node = cluster.node(name);
    await node.cutPower();
    await node.startAgain();
    await writer.writesOn(HEAL_MS);
    figure(`node started anew: the next write came after ${String(writer.longestWait(before))} s`);
    await writer.requireAllIn(writer.pod);
    await driver.ready();
  });

  clusterCase(given, 'a node freezes, its pod runs on the other one, and what it writes later is refused', async () => {
    const { cluster, work } = given;
    const writer = new PodWriter(cluster, work);
    const name = await writer.start();
    await failOver(given, { node: name, pod: writer.pod, claim: writer.claim }, async () => writer.requireAllIn('successor'));
    // Nothing has changed under the successor, and no device is left where the volume was taken from.
    const numbers = (await work.run('successor', `cat ${writer.file}`)).split('\n');
    expect(numbers).toEqual(numbers.map((_, index) => String(index + 1)));
    expect(await cluster.node(name).run('sh', '-c', 'cat /sys/block/nbd*/pid 2>/dev/null || true')).toBe('');
  });
}
