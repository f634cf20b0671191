import { expect } from '@jest/globals';
import { PodWriter } from '../../support/cluster-pod-writer.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';

/** The everyday way of a volume, on a device of the kernel. */
export function kernelDevice(given: GuestsGiven): void {
  clusterCase(given, 'a pod writes to a device of the kernel, and its volume goes to the other node with its data', async () => {
    const { cluster, work, driver } = given;
    for (const name of given.disks) await driver.free(name);
    const writer = new PodWriter(cluster, work);
    const node = await writer.start();
    expect(await work.run(writer.pod, 'cat /proc/mounts')).toMatch(new RegExp(`^/dev/nbd\\d+ ${MOUNT} ext4 rw`, 'm'));
    await work.delete('pod', writer.pod);
    await work.pod('second', { claim: writer.claim, node: given.otherNode(node) });
    await work.running('second');
    await writer.requireAllIn('second');
    await work.delete('pod', 'second');
    await work.delete('pvc', writer.claim);
    for (const name of given.disks) await driver.free(name);
  });
}
