import { expect } from '@jest/globals';
import { CLASS_LATE } from '../../support/cluster-driver.ts';
import { SAN_INTERFACE } from '../../support/cluster-network.ts';
import type { ClusterNode } from '../../support/cluster-node.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const MIB = 1024 * 1024;
const WRITTEN = 32 * MIB;
/** Discovery, and questions whose a target is, go out on all interfaces. */
const ASIDE_MAX = MIB;
const LARGE = 'e10.5';
const GONE_MS = 120_000;
/** That the first node alone has. */
export const SECOND_INTERFACE = 'san1';
export const CLASS_SECOND = 'aoe-second-interface';

/** Nodes that are not wired alike: node-1 has two interfaces on the storage network, node-2 one. */
export function interfaces(given: Given): void {
  clusterCase(given, 'a volume is used through the interface that its class names, and only where that is', async () => {
    const { work, cluster } = given;
    await work.claim('data', { size: '100Mi', className: CLASS_SECOND });
    await work.bound('data');
    await work.pod('elsewhere', { claim: 'data', node: 'node-2' });
    expect(await work.event('elsewhere', /node affinity|nodes are available/)).toMatch(/PersistentVolume's node affinity/);
    await work.delete('pod', 'elsewhere');
    await work.pod('writer', { claim: 'data' });
    expect(await work.running('writer')).toBe('node-1');
    const node = cluster.node('node-1');
    const [first, second] = [await bytesOn(node, SAN_INTERFACE), await bytesOn(node, SECOND_INTERFACE)];
    await work.run('writer', `dd if=/dev/zero of=${MOUNT}/file bs=1M count=${String(WRITTEN / MIB)} conv=fsync`);
    const onFirst = (await bytesOn(node, SAN_INTERFACE)) - first;
    const onSecond = (await bytesOn(node, SECOND_INTERFACE)) - second;
    process.stderr.write(
      `cluster: ${String(onSecond)} bytes on the interface of the class, ${String(onFirst)} on the other one\n`,
    );
    expect(onSecond).toBeGreaterThan(WRITTEN);
    expect(onFirst).toBeLessThan(ASIDE_MAX);
  });

  clusterCase(
    given,
    'a pod that nobody has told where to run goes where the only target is seen that is large enough',
    async () => {
      const { work, cluster, driver } = given;
      const [{ spec }] = (await driver.list('aoenodes')).filter(({ metadata }) => metadata.name === 'node-1');
      await cluster.targets.add(LARGE, 400 * MIB, { macs: spec['macs'] as string[] });
      await driver.free(LARGE);
      await work.claim('large', { size: '300Mi', className: CLASS_LATE });
      await work.pod('user', { claim: 'large' });
      expect(await work.running('user')).toBe('node-1');
      expect(await work.bound('large')).toBe(LARGE);
      await work.delete('pod', 'user');
      await work.delete('pvc', 'large');
      await driver.free(LARGE);
      await cluster.targets.stop(LARGE);
      // Who comes next would be given it, and never get it: a target that nobody uses is asked once a minute whether it is there.
      await cluster.until('no node to see it any more', GONE_MS, async () =>
        (await driver.list('aoenodes')).every((node) => !(LARGE in (node.spec['targets'] as object))),
      );
    },
  );
}

/** Received and sent so far. */
async function bytesOn(node: ClusterNode, name: string): Promise<number> {
  const line = (await node.run('cat', '/proc/net/dev')).split('\n').find((each) => each.trim().startsWith(`${name}:`));
  const fields = (line ?? '').split(':')[1].trim().split(/\s+/).map(Number);
  return fields[0] + fields[8];
}
