import { expect } from '@jest/globals';
import { CLASS_LATE, CLASS_NOWHERE } from '../../support/cluster-driver.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const MIB = 1024 * 1024;
const WRITTEN_MS = 20_000;

/** What a StorageClass says, and what happens when there is no target for it. */
export function classes(given: Given): void {
  clusterCase(given, 'a class whose interfaces no node has says so at the claim', async () => {
    await given.work.claim('nowhere', { size: '100Mi', className: CLASS_NOWHERE });
    expect(await given.work.event('nowhere', /interface/)).toMatch(/none\*/);
  });

  clusterCase(given, 'a class that waits for a pod gets its volume when there is one', async () => {
    const { work } = given;
    await work.claim('late', { size: '100Mi', className: CLASS_LATE });
    await work.event('late', /waiting for first consumer/);
    await work.pod('first', { claim: 'late', script: `echo late > ${MOUNT}/file` });
    await work.running('first');
    await given.cluster.until(
      'the pod to have written',
      WRITTEN_MS,
      async () => (await work.run('first', `cat ${MOUNT}/file`)) === 'late',
    );
  });

  clusterCase(given, 'a claim for which there is no target says so, and is bound when one is added', async () => {
    const { work, cluster, driver } = given;
    for (const name of ['one', 'two', 'three']) {
      await work.claim(name, { size: '100Mi' });
      if (name !== 'three') await work.bound(name);
    }
    expect(await work.event('three', /cannot place a volume of 100Mi/)).toMatch(/of 2 targets 2 are taken/);
    await cluster.targets.add('e10.3', 128 * MIB);
    expect(await work.bound('three')).toBe('e10.3');
    await work.delete('pvc', 'three');
    await driver.free('e10.3');
    await cluster.targets.stop('e10.3');
  });
}
