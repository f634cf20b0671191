import { expect } from '@jest/globals';
import { PodWriter } from '../../support/cluster-pod-writer.ts';
import { clusterCase, figure } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';

const HEAL_MS = 120_000;
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';

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
    const { cluster, driver, work } = given;
    const writer = new PodWriter(cluster, work);
    const name = await writer.start();
    const target = await work.bound(writer.claim);
    const frozenMs = performance.now();
    cluster.node(name).freeze();
    try {
      await cluster.kubectl.run('taint', 'nodes', name, OUT_OF_SERVICE);
      await work.pod('successor', { claim: writer.claim, node: given.otherNode(name) });
      await cluster.kubectl.run('delete', 'pod', writer.pod, `--namespace=${work.namespace}`, '--wait=false');
      await work.running('successor');
      figure(`failover took ${((performance.now() - frozenMs) / 1000).toFixed(1)} s`);
      await writer.requireAllIn('successor');
    } finally {
      cluster.node(name).thaw();
    }
    await cluster.until(`${name} to be refused`, HEAL_MS, async () =>
      (await driver.log(name, 'initiator')).includes('"component":"reserved"'),
    );
    await cluster.until(`${name} to have given ${target} up`, HEAL_MS, async () => {
      const [{ spec }] = (await driver.list('aoenodes')).filter(({ metadata }) => metadata.name === name);
      return Object.keys(spec['staged'] as object).length === 0;
    });
    await cluster.kubectl.run('taint', 'nodes', name, `${OUT_OF_SERVICE}-`);
    await driver.ready();
    // Nothing has changed under the successor, and no device is left where the volume was taken from.
    const numbers = (await work.run('successor', `cat ${writer.file}`)).split('\n');
    expect(numbers).toEqual(numbers.map((_, index) => String(index + 1)));
    expect(await cluster.node(name).run('sh', '-c', 'cat /sys/block/nbd*/pid 2>/dev/null || true')).toBe('');
  });
}
