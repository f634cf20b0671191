import { expect } from '@jest/globals';
import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import type { KubernetesObject } from '../../support/cluster-kubectl.ts';
import { clusterCase, type Given } from './given.ts';

const ROLLED_OUT_MS = 120_000;
/** The release has the name of its namespace. */
const RELEASE = DRIVER_NAMESPACE;
const IN_NAMESPACE = `--namespace=${DRIVER_NAMESPACE}`;
const NODES = '--selector=app.kubernetes.io/component=node';
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
    const before = await driver.list('pods', NODES);
    await expect(cluster.helm.run('uninstall', RELEASE, IN_NAMESPACE)).rejects.toThrow(
      new RegExp(`in use: e10\\S+ on ${node}; end the pods that use them`),
    );
    expect(namesOf(await driver.list('pods', NODES))).toEqual(namesOf(before));
    await cluster.kubectl.delete('pod', 'aoe-csi-uninstall', IN_NAMESPACE);
    // Helm believes that it is half uninstalled, until it is told otherwise.
    await cluster.helm.run('rollback', RELEASE, '1', IN_NAMESPACE);
    expect(namesOf(await driver.list('pods', NODES))).toEqual(namesOf(before));
  });

  clusterCase(given, 'an upgrade starts the new pod of a node beside the old one, from which it takes over', async () => {
    const { cluster, driver } = given;
    const before = namesOf(await driver.list('pods', NODES));
    await driver.upgrade({ node: { updateStrategy: SURGING, deadAfterSeconds: 5 }, logLevel: 'info' });
    const after = await cluster.until('new pods on all nodes', ROLLED_OUT_MS, async () => {
      const names = namesOf(await driver.list('pods', NODES));
      return names.length === before.length && names.every((name) => !before.includes(name)) && names;
    });
    for (const name of after) {
      const log = async (container: string): Promise<string> =>
        cluster.kubectl.run('logs', name, IN_NAMESPACE, '--container', container);
      expect(await log('initiator')).toMatch(/took over from the initiator that ran before/);
      await cluster.until('the node plugin to follow', ROLLED_OUT_MS, async () =>
        (await log('node')).includes('the kubelet has registered'),
      );
      expect(await log('node')).toMatch(/stands by until the node plugin that has .* ends/);
    }
    await driver.ready();
  });
}

function namesOf(pods: readonly KubernetesObject[]): string[] {
  return pods.map(({ metadata }) => metadata.name).toSorted();
}
