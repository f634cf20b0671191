import { expect } from '@jest/globals';
import { ATTRIBUTES } from '../../support/cluster-driver.ts';
import { clusterCase, type Given } from './given.ts';
import { requireNoGap, startWriter } from './writer.ts';

const CHANGE_MS = 60_000;

/** What a VolumeAttributesClass says. */
export function attributes(given: Given): void {
  clusterCase(given, 'a VolumeAttributesClass changes a volume while a pod writes to it', async () => {
    const { work, cluster, driver } = given;
    const node = await startWriter(work);
    const target = await work.bound('data');
    await work.patch('pvc', 'data', { spec: { volumeAttributesClassName: ATTRIBUTES } });
    await cluster.until('the claim to have the class', CHANGE_MS, async () => {
      const { status } = await work.get('pvc', 'data');
      return status?.['currentVolumeAttributesClassName'] === ATTRIBUTES;
    });
    expect((await driver.target(target)).spec['claim']).toMatchObject({ mutableParameters: { deadSeconds: '120' } });
    await cluster.until('its node to use it', CHANGE_MS, async () =>
      (await driver.log(node, 'node')).includes(`changed parameters of ${target}@`),
    );
    await requireNoGap(work);
  });
}
