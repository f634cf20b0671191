import { expect } from '@jest/globals';
import { Stranger } from '../../support/cluster-stranger.ts';
import { clusterCase, type Given } from './given.ts';
import { requireNoGap, startWriter } from './writer.ts';

const AGAIN_MS = 30_000;

/** What happens on the storage network, to targets and by others. */
export function targets(given: Given): void {
  const withStranger = async (run: (stranger: Stranger) => Promise<void>): Promise<void> => {
    const stranger = await Stranger.come(given.cluster);
    try {
      await run(stranger);
    } finally {
      await stranger.go();
    }
  };

  clusterCase(given, 'a target restarts while a pod writes, has forgotten whose it is, and is told again', async () => {
    const { work, cluster } = given;
    await startWriter(work);
    const target = await work.bound('data');
    await withStranger(async (stranger) => {
      const before = await stranger.ownership(target);
      expect(before.configString).toMatch(/^aoe-csi\/1;cluster-test;/);
      expect(before.macs).not.toEqual([]);
      await cluster.targets.stop(target);
      await cluster.targets.serve(target);
      await cluster.until('the target to be owned as before', AGAIN_MS, async () => {
        return JSON.stringify(await stranger.ownership(target)) === JSON.stringify(before);
      });
      await requireNoGap(work);
    });
  });

  clusterCase(
    given,
    'a target that a stranger has claimed is never taken, not even in the moment before it is seen',
    async () => {
      const { work, driver } = given;
      const [theirs, ours] = given.disks;
      for (const each of given.disks) await driver.free(each);
      await withStranger(async (stranger) => {
        await stranger.claim(theirs, 'somebody else');
        try {
          await work.claim('data', { size: '100Mi' });
          expect(await work.bound('data')).toBe(ours);
          await driver.reaches(theirs, 'Foreign');
          expect((await driver.target(theirs)).spec['reason']).toMatch(/somebody who wrote 'somebody else'/);
          await work.claim('more', { size: '100Mi' });
          expect(await work.event('more', /cannot place/)).toMatch(/1 is claimed by somebody else, 1 is taken/);
          expect((await stranger.ownership(theirs)).configString).toBe('somebody else');
          await work.delete('pvc', 'more');
        } finally {
          await stranger.release(theirs);
        }
        await driver.free(theirs);
      });
    },
  );
}
