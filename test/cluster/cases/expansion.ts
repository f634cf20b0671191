import { truncateSync } from 'node:fs';
import { expect } from '@jest/globals';
import { CLASS_XFS } from '../../support/cluster-driver.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const MIB = 1024 * 1024;
const GROW_MS = 90_000;

/** Volumes that become larger. XFS, as ext4 does only where there is CAP_SYS_RESOURCE. Devices by FUSE do with the next pod; those of the kernel at once (test/kernel). */
export function expansion(given: Given): void {
  clusterCase(given, 'a volume grows with its target, up to the file system that the next pod sees', async () => {
    const { work, cluster } = given;
    await cluster.targets.add('e10.4', 400 * MIB);
    await work.claim('growing', { size: '350Mi', className: CLASS_XFS });
    const target = await work.bound('growing');
    expect(target).toMatch(/^e10\.4/);
    await work.pod('first', { claim: 'growing' });
    await work.running('first');
    await work.run('first', `echo kept > ${MOUNT}/file; sync`);
    const before = await sizeIn('first');
    await cluster.targets.stop('e10.4');
    truncateSync(cluster.targets.disk('e10.4'), 800 * MIB);
    await cluster.targets.serve('e10.4');
    await work.patch('pvc', 'growing', { spec: { resources: { requests: { storage: '700Mi' } } } });
    await work.event('growing', /FileSystemResizeRequired|file ?system/i);
    await work.delete('pod', 'first');
    await work.pod('second', { claim: 'growing' });
    await work.running('second');
    expect(await sizeIn('second')).toBeGreaterThan(before + 300 * 1024);
    expect(await work.run('second', `cat ${MOUNT}/file`)).toBe('kept');
    await cluster.until('the claim to say that it has grown', GROW_MS, async () => {
      const { status } = await work.get('pvc', 'growing');
      return status?.capacity?.['storage'] === '700Mi';
    });
    await work.delete('pod', 'second');
    await work.delete('pvc', 'growing');
    await given.driver.free('e10.4');
    await cluster.targets.stop('e10.4');
  });

  /** KiB of the file system. */
  const sizeIn = async (pod: string): Promise<number> =>
    Number((await given.work.run(pod, `df -k ${MOUNT}`)).split('\n').at(-1)?.split(/\s+/)[1]);
}
