import { readFileSync } from 'node:fs';
import { expect } from '@jest/globals';
import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import { DEVICE, MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

/** What everybody does with volumes first. */
export function thinPath(given: Given): void {
  clusterCase(given, 'knows its nodes and targets', async () => {
    const nodes = await given.driver.list('aoenodes');
    expect(nodes.map(({ metadata }) => metadata.name)).toEqual(['node-1', 'node-2']);
    for (const name of given.disks) await given.driver.free(name);
  });

  clusterCase(given, 'says of its nodes that volumes can be used there', async () => {
    const passed = ['wait', 'aoenodes', '--all', '--for=condition=PreflightPassed', '--timeout=60s'];
    const said = await given.cluster.kubectl.run(...passed, `--namespace=${DRIVER_NAMESPACE}`);
    expect(said.match(/node-\d condition met/g)).toEqual(['node-1 condition met', 'node-2 condition met']);
  });

  clusterCase(
    given,
    'a pod writes to a volume, which goes to the other node with its data, and is wiped in the end',
    async () => {
      const { work, cluster } = given;
      await work.claim('data', { size: '100Mi' });
      const target = await work.bound('data');
      await work.pod('first', { claim: 'data' });
      const node = await work.running('first');
      await work.run('first', `echo written-by-a-pod > ${MOUNT}/file; sync`);
      const disk = cluster.targets.disk(target);
      expect(readFileSync(disk).includes('written-by-a-pod')).toBe(true);
      await work.delete('pod', 'first');
      await work.pod('second', { claim: 'data', node: given.otherNode(node) });
      await work.running('second');
      expect(await work.run('second', `cat ${MOUNT}/file`)).toBe('written-by-a-pod');
      await work.delete('pod', 'second');
      await work.delete('pvc', 'data');
      await given.driver.free(target);
      // What ext4 is known by: the first block group's superblock.
      expect(
        readFileSync(disk)
          .subarray(0, 8192)
          .every((byte) => byte === 0),
      ).toBe(true);
    },
  );

  clusterCase(given, 'a raw block volume is a device in the pod', async () => {
    const { work, cluster } = given;
    await work.claim('raw', { size: '100Mi', block: true });
    const target = await work.bound('raw');
    await work.pod('writer', { claim: 'raw', block: true });
    await work.running('writer');
    await work.run('writer', `echo raw-block | dd of=${DEVICE} bs=512 seek=8 conv=sync; sync`);
    expect(readFileSync(cluster.targets.disk(target)).subarray(4096, 4105).toString()).toBe('raw-block');
    await work.delete('pod', 'writer');
    await work.delete('pvc', 'raw');
    await given.driver.free(target);
  });
}
