import { expect } from '@jest/globals';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const MIB = 1024 * 1024;
const TARGET = 'e10.6';

/** A volume that several nodes have at a time. */
export function readers(given: Given): void {
  clusterCase(given, 'what one pod has written to a static volume, pods on all nodes read at the same time', async () => {
    const { work, cluster, driver } = given;
    await cluster.targets.add(TARGET, 64 * MIB);
    await driver.free(TARGET);
    const volume = { target: TARGET, size: '64Mi' };
    await work.static('written', { ...volume, mode: 'ReadWriteOnce', attributes: { claim: 'yes', format: 'blank' } });
    await work.pod('writer', { claim: 'written' });
    await work.running('writer');
    await work.run('writer', `echo for-all > ${MOUNT}/file; sync`);
    expect((await driver.target(TARGET)).spec['state']).toBe('Static');
    await work.delete('pod', 'writer');
    await work.removeStatic('written');
    await work.static('read', { ...volume, mode: 'ReadOnlyMany', attributes: { claim: 'yes' } });
    const names = cluster.nodes.map(({ name }) => name);
    for (const node of names) await work.pod(`on-${node}`, { claim: 'read', node, readOnly: true });
    for (const node of names) expect(await work.running(`on-${node}`)).toBe(node);
    for (const node of names) {
      expect(await work.run(`on-${node}`, `cat ${MOUNT}/file`)).toBe('for-all');
      await expect(work.run(`on-${node}`, `touch ${MOUNT}/other`)).rejects.toThrow(/Read-only file system/);
    }
    for (const node of names) await work.delete('pod', `on-${node}`);
    await work.removeStatic('read');
    await cluster.targets.stop(TARGET);
  });
}
