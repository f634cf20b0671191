import { expect } from '@jest/globals';
import { clusterCase, type Given } from './given.ts';

/** How many may use a volume. */
export function accessModes(given: Given): void {
  clusterCase(given, 'a second pod is refused for a volume that is for one pod', async () => {
    const { work } = given;
    await work.claim('single', { size: '100Mi', mode: 'ReadWriteOncePod' });
    await work.bound('single');
    await work.pod('first', { claim: 'single' });
    await work.running('first');
    await work.pod('second', { claim: 'single' });
    expect(await work.event('second', /ReadWriteOncePod/)).toMatch(/0\/2 nodes are available/);
    await work.delete('pod', 'first');
    await work.running('second');
  });
}
