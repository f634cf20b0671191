import { expect } from '@jest/globals';
import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import { clusterCase, type Given } from './given.ts';

const FOLLOWS_MS = 120_000;
/** The release has the name of its namespace. */
const RELEASE = DRIVER_NAMESPACE;
const IN_NAMESPACE = `--namespace=${DRIVER_NAMESPACE}`;
const SURGING = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };

/** What people do with a release. */
export function chart(given: Given): void {
  clusterCase(given, 'helm test is content, and has had a volume', async () => {
    const output = await given.cluster.helm.run('test', RELEASE, IN_NAMESPACE, '--logs');
    expect(output).toMatch(/TEST SUITE:\s+aoe-csi-test-nodes\n.*\n.*\nPhase:\s+Succeeded/);
    expect(output).toMatch(/TEST SUITE:\s+aoe-csi-test-volume\n.*\n.*\nPhase:\s+Succeeded/);
    expect(output).toMatch(/NODE +ALIVE.*\nnode-1 +yes .*\nnode-2 +yes /);
  });

  clusterCase(given, 'an uninstall is refused while a volume is in use, and nothing happens', async () => {
    const { cluster, driver, work } = given;
    await work.claim('data', { size: '100Mi' });
    await work.pod('user', { claim: 'data' });
    const node = await work.running('user');
    const before = await driver.nodePods();
    await expect(cluster.helm.run('uninstall', RELEASE, IN_NAMESPACE)).rejects.toThrow(
      new RegExp(`in use: e10\\S+ on ${node}; end the pods that use them`),
    );
    expect(await driver.nodePods()).toEqual(before);
    await cluster.kubectl.delete('pod', 'aoe-csi-uninstall', IN_NAMESPACE);
    // Helm believes that it is half uninstalled, until it is told otherwise.
    await cluster.helm.run('rollback', RELEASE, '1', IN_NAMESPACE);
    expect(await driver.nodePods()).toEqual(before);
  });

  clusterCase(given, 'an upgrade starts the new pod of a node beside the old one, from which it takes over', async () => {
    const { cluster, driver } = given;
    const before = await driver.nodePods();
    await driver.upgrade({ node: { updateStrategy: SURGING, deadAfterSeconds: 5 }, logLevel: 'info' });
    for (const pod of await driver.nodePodsAfter(before)) {
      expect(await driver.podLog(pod, 'initiator')).toMatch(/took over from the initiator that ran before/);
      await cluster.until('the node plugin to follow', FOLLOWS_MS, async () =>
        (await driver.podLog(pod, 'node')).includes('the kubelet has registered'),
      );
      expect(await driver.podLog(pod, 'node')).toMatch(/stands by until the node plugin that has .* ends/);
    }
    await driver.ready();
  });
}
