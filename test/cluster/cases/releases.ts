import { expect } from '@jest/globals';
import { ClusterDriver, type Installation } from '../../support/cluster-driver.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const CLASS = 'second';
const SECOND: Installation = {
  name: 'second',
  driverName: 'second.csi.dev',
  clusterId: 'cluster-second',
  metricsPort: 9910,
  storageClasses: [{ name: CLASS, volumeBindingMode: 'Immediate' }],
};

/** As the chart has it by default: NET_RAW, IPC_LOCK, SYS_MODULE, SYS_ADMIN (capabilities(7)). */
const CAPABILITIES = (1 << 13) | (1 << 14) | (1 << 16) | (1 << 21);
/** Where a container may have no devices of its node there are no volumes, but everything before that works. */
const LISTED: Installation = {
  name: 'listed',
  driverName: 'listed.csi.dev',
  clusterId: 'cluster-listed',
  metricsPort: 9920,
  storageClasses: [{ name: 'listed', volumeBindingMode: 'Immediate' }],
  more: { initiator: { privileged: false, extraArgs: ['--attach=nbd-socket'] } },
};
const SEEN_MS = 90_000;

/** Two installations on one storage network, as two clusters would be. */
export function releases(given: Given): void {
  clusterCase(given, 'a second release works beside the first, and neither takes what the other has claimed', async () => {
    const { work, cluster, driver } = given;
    await work.claim('first', { size: '100Mi' });
    const firstTarget = await work.bound('first');
    const second = new ClusterDriver(cluster, SECOND);
    await second.install();
    await second.reaches(firstTarget, 'Foreign');
    expect((await second.target(firstTarget)).spec['reason']).toMatch(/^claimed by cluster cluster-test/);
    await work.claim('other', { size: '100Mi', className: CLASS });
    const otherTarget = await work.bound('other');
    expect(otherTarget).not.toBe(firstTarget);
    await work.pod('writer', { claim: 'other' });
    await work.running('writer');
    await work.run('writer', `echo second > ${MOUNT}/file; sync`);
    await driver.reaches(otherTarget, 'Foreign');
    await work.claim('late', { size: '100Mi', className: CLASS });
    expect(await work.event('late', /cannot place/)).toMatch(/of 2 targets/);
    await work.delete('pvc', 'late');
    await work.delete('pod', 'writer');
    await work.delete('pvc', 'other');
    await second.free(otherTarget);
    await second.uninstall();
    await driver.free(otherTarget);
  });

  clusterCase(given, 'an initiator that has a list of capabilities, and nothing else, sees the targets', async () => {
    const { cluster } = given;
    const listed = new ClusterDriver(cluster, LISTED);
    await listed.begin();
    await cluster.until('its nodes to see all targets', SEEN_MS, async () => {
      const nodes = await listed.list('aoenodes');
      const seen = nodes.map(({ spec }) => Object.keys(spec['targets'] as object));
      return seen.length === cluster.nodes.length && seen.every((names) => given.disks.every((disk) => names.includes(disk)));
    });
    const said = await listed.inInitiator(cluster.nodes[0].name, 'grep', 'CapEff', '/proc/1/status');
    expect(Number.parseInt(said.split(/\s+/)[1], 16)).toBe(CAPABILITIES);
    await listed.uninstall();
  });
}
