import { setTimeout as sleep } from 'node:timers/promises';
import { clusterCase, type Given } from './given.ts';
import { requireNoGap, startWriter } from './writer.ts';

const API_DOWN_MS = 120_000;
const ETCD_DOWN_MS = 10_000;

/** The control plane fails while volumes are used: nothing happens to I/O. */
export function controlPlane(given: Given): void {
  clusterCase(given, 'the API server is away for two minutes, and pods write on', async () => {
    const { cluster, work } = given;
    await startWriter(work);
    await cluster.plane.apiServer.end('SIGKILL');
    await sleep(API_DOWN_MS);
    await cluster.plane.startApiServer();
    await given.driver.ready();
    await requireNoGap(work);
  });

  clusterCase(given, 'etcd is killed and started again, pods write on, and volumes are made as before', async () => {
    const { cluster, work } = given;
    await startWriter(work);
    await cluster.plane.endEtcd();
    await sleep(ETCD_DOWN_MS);
    cluster.plane.startEtcd();
    await given.driver.ready();
    await work.claim('later', { size: '100Mi' });
    await work.bound('later');
    await requireNoGap(work);
  });
}
