import { expect } from '@jest/globals';
import { DRIVER_NAME } from '../../support/cluster-driver.ts';
import { BUSYBOX_IMAGE } from '../../support/cluster-images.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, type Given } from './given.ts';

const [USER, GROUP] = [1000, 2000];
const TIMES = 20;

/** What pods may ask of their volumes. */
export function pods(given: Given): void {
  clusterCase(given, 'a volume belongs to the group of its pod, and another pod has a folder of it alone', async () => {
    const { work } = given;
    await work.claim('data', { size: '100Mi' });
    const securityContext = { runAsUser: USER, runAsGroup: USER, fsGroup: GROUP };
    await work.pod('first', { claim: 'data', spec: { securityContext } });
    await work.running('first');
    await work.run('first', `mkdir ${MOUNT}/part && echo inside > ${MOUNT}/part/file && sync`);
    expect(await work.run('first', `stat -c '%u %g' ${MOUNT}/part/file`)).toBe(`${String(USER)} ${String(GROUP)}`);
    await work.delete('pod', 'first');
    await work.pod('second', { claim: 'data', mount: { subPath: 'part' } });
    await work.running('second');
    expect(await work.run('second', `ls ${MOUNT}; cat ${MOUNT}/file`)).toBe('file\ninside');
  });

  clusterCase(given, 'a volume that would live and die with its pod is refused, and the pod says why', async () => {
    const { work } = given;
    await work.apply('Pod', 'inline', {
      containers: [
        { name: 'main', image: BUSYBOX_IMAGE, imagePullPolicy: 'Never', volumeMounts: [{ name: 'data', mountPath: MOUNT }] },
      ],
      volumes: [{ name: 'data', csi: { driver: DRIVER_NAME } }],
    });
    expect(await work.event('inline', /Ephemeral/)).toMatch(/not supported by driver aoe\.csi\.dev/);
  });
}

/** The same over and over. */
export function manyPods(given: Given): void {
  clusterCase(given, `a pod is deleted and made again ${String(TIMES)} times, with all that it wrote`, async () => {
    const { work } = given;
    await work.claim('data', { size: '100Mi' });
    for (let time = 1; time <= TIMES; time++) {
      await work.pod('again', { claim: 'data' });
      await work.running('again');
      // Not synchronized: the unmount has to write it.
      await work.run('again', `echo ${String(time)} >> ${MOUNT}/times`);
      await work.delete('pod', 'again');
    }
    await work.pod('reader', { claim: 'data' });
    await work.running('reader');
    const expected = Array.from({ length: TIMES }, (_, index) => String(index + 1));
    expect((await work.run('reader', `cat ${MOUNT}/times`)).split('\n')).toEqual(expected);
  });
}
