import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadYaml } from '@kubernetes/client-node';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';

/** `aoe-csi import` on a store that a controller and nodes have filled. */

let lab: EmbeddedLaboratory;

beforeEach(async () => {
  lab = new EmbeddedLaboratory(MEMORY);
  const { targets, nodes } = await lab.open();
  const taken = { state: 'Claimed', claim: claimRecord() } as const;
  for (const target of [
    targetRecord('e10.3'),
    targetRecord('e10.4', taken),
    targetRecord('e10.5', { state: 'Foreign', reason: 'claimed by cluster x' }),
    targetRecord('e10.6', { state: 'Missing' }),
    targetRecord('e10.7', { state: 'Wiping', claim: claimRecord() }),
  ]) {
    await targets.create(target.address, target);
  }
  const seen = ['e10.3', 'e10.4', 'e10.5', 'e10.7'];
  const segments = { 'topology.aoe.csi.dev/segment': 'san-a' };
  await nodes.create('node-1', nodeRecord('node-1', seen, { segments }));
  await nodes.create('node-2', nodeRecord('node-2', seen, { segments }));
});

afterEach(async () => lab.remove());

describe('aoe-csi import', () => {
  test('writes a PersistentVolume of what is seen, for the nodes that see it', async () => {
    const { code, out, err } = await aoeCsi('import', 'e10.3', '--store', lab.directory);
    expect([code, err]).toEqual([0, expect.stringMatching(/^e10\.3: not claimed; keep it out of the StorageClasses/)]);
    expect(loadYaml(out)).toEqual({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'aoe-e10.3' },
      spec: {
        capacity: { storage: '100Gi' },
        accessModes: ['ReadWriteOnce'],
        volumeMode: 'Filesystem',
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        csi: { driver: 'aoe.csi.dev', volumeHandle: 'e10.3' },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'topology.aoe.csi.dev/segment', operator: 'In', values: ['san-a'] }] },
            ],
          },
        },
      },
    });
  });

  test('says what it was told, in the one form that each value has', async () => {
    const words = ['--name', 'data', '--class', 'aoe', '--fs-type', 'xfs', '--attribute', 'deadSeconds=060', '--claim'];
    const { code, out, err } = await aoeCsi('import', 'e10.3', '--store', lab.directory, ...words, '--pvc', 'web/data');
    expect([code, err]).toEqual([0, '']);
    expect(loadYaml(out)).toMatchObject({
      metadata: { name: 'data' },
      spec: {
        storageClassName: 'aoe',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'web', name: 'data' },
        csi: { fsType: 'xfs', volumeAttributes: { deadSeconds: '60', claim: 'yes' } },
      },
    });
  });

  test.each([
    [5, ['e10.4'], /it is Claimed, with volume e10\.4@\w+ \(pvc-1\)/],
    [5, ['e10.5'], /it is not ours to use: claimed by cluster x/],
    [5, ['e10.7'], /it is Wiping/],
    [1, ['e10.6'], /no node sees a target there/],
    [1, ['e10.9'], /no node sees a target there/],
    [2, ['e10.3', '--attribute', 'wipe=zero'], /it belongs into the StorageClass/],
    [2, ['e10.3', '--fs-type', 'ntfs'], /expected one of ext4, xfs, btrfs/],
    [2, ['e10.3', '--access-mode', 'ReadOnlyMany', 'ReadWriteOnce'], /give ReadOnlyMany alone/],
    [2, ['e10.3', '--pvc', 'data'], /Give namespace\/name/],
  ])('ends with %i for %j', async (expected, words, message) => {
    const { code, out, err } = await aoeCsi('import', ...words, '--store', lab.directory);
    expect([code, out]).toEqual([expected, '']);
    expect(err).toMatch(message);
  });
});
