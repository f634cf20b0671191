import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { CONTROLLERS, DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import type { Cluster } from '../../support/cluster.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { failOver } from './failover.ts';
import { clusterCase, type Given } from './given.ts';
import { requireNoGap, startWriter } from './writer.ts';

const RELEASED_MS = 60_000;

/** What ends while volumes are used. With devices by FUSE the initiator must not: what needs that is tested on others (test/kernel). */
export function outages(given: Given): void {
  clusterCase(given, 'a node plugin is killed, and pods write on', async () => {
    const { work, cluster } = given;
    const node = await startWriter(work);
    const plugin = cluster.node(node);
    await plugin.run('sh', '-c', 'kill -9 $(pgrep -f "^[^ ]*node .* node --endpoint")');
    await sleep(5_000);
    await given.driver.ready();
    await work.run('writer', `cat ${MOUNT}/clock`);
    await requireNoGap(work);
  });

  clusterCase(given, 'controllers are killed while they make a volume, and one target is taken', async () => {
    const { work, cluster, driver } = given;
    await work.claim('hard', { size: '100Mi' });
    await killControllers(cluster);
    await work.bound('hard');
    const targets = await driver.list('aoetargets');
    expect(targets.filter(({ spec }) => spec['state'] === 'Claimed')).toHaveLength(1);
    await driver.ready();
  });

  clusterCase(given, 'controllers are killed while they delete a volume, and its target is wiped and free again', async () => {
    const { work, cluster, driver, disks } = given;
    await work.claim('doomed', { size: '100Mi' });
    const target = await work.bound('doomed');
    await cluster.kubectl.run('delete', 'pvc', 'doomed', `--namespace=${work.namespace}`, '--wait=false');
    await cluster.until(
      `${target} to be on its way`,
      RELEASED_MS,
      async () => (await driver.target(target)).spec['state'] !== 'Claimed',
    );
    await killControllers(cluster);
    for (const each of disks) await driver.free(each);
    await driver.ready();
  });

  clusterCase(given, 'a node hangs, and its pod runs on the other one, which alone can write', async () => {
    const { work } = given;
    const node = await startWriter(work);
    await failOver(given, { node, pod: 'writer', claim: 'data' }, async () => {
      expect(await work.run('successor', `cat ${MOUNT}/clock`)).toMatch(/^\d{10}$/);
      await work.run('successor', `echo successor > ${MOUNT}/owner; sync ${MOUNT}/owner`);
    });
    await work.delete('pod', 'successor');
    await work.pod('reader', { claim: 'data' });
    await work.running('reader');
    expect(await work.run('reader', `cat ${MOUNT}/owner`)).toBe('successor');
  });
}

async function killControllers({ kubectl }: Cluster): Promise<void> {
  const controllers = [CONTROLLERS, `--namespace=${DRIVER_NAMESPACE}`];
  await kubectl.run('delete', 'pods', ...controllers, '--force', '--grace-period=0', '--wait=false');
}
