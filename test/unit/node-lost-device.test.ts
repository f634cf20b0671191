import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { mountTable } from '../../src/node/kernel/mount-table.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import { Unstaging } from '../../src/node/staging/unstaging.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { stagedVolume } from '../support/staged-volume.ts';
import { claimRecord } from '../support/volumes-records.ts';

const ADDRESS = 'e1.0';
const DEVICE = '/dev/nbd0';

let laboratory: EmbeddedLaboratory;
let state: StateDirectory;

beforeEach(() => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  const folder = join(laboratory.directory, 'state');
  mkdirSync(folder);
  state = new StateDirectory(folder, 'boot');
});
afterEach(async () => laboratory.remove());

/**
 * What is left of a volume that was detached by a plugin that died before it could record so, on a device that somebody has mounted.
 * @param holder whose that device is, as the initiator knows it
 */
async function takeDownWhere(holder: string | undefined): Promise<void> {
  const [root] = (await mountTable()).filter(({ mountPoint }) => mountPoint === '/');
  await state.save(
    stagedVolume({
      ...{ volumeId: `${ADDRESS}@${claimRecord().claim}`, address: ADDRESS, stagingPath: join(laboratory.directory, 'staging') },
      ...{ phase: 'unstaging', device: DEVICE, deviceNumber: root.deviceNumber },
    }),
  );
  const attachments = holder === undefined ? [] : [{ name: holder, device: DEVICE, state: 'up' }];
  const initiator = {
    attachments: async () => Promise.resolve(attachments),
    attachment: async () => Promise.resolve(undefined),
  } as unknown as InitiatorClient;
  const store = await laboratory.open();
  const recorder = new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' }, []);
  const parts = { nodeId: 'node-1', clusterId: 'c', bootId: 'boot', store, initiator, recorder, state };
  const staged = state.get(ADDRESS);
  if (staged === undefined) throw new Error('nothing was saved');
  await new Unstaging(parts, { deadAfterMs: 1_000 }).takeDown(staged, Logger.create('silent'));
}

describe('Unstaging', () => {
  test('leaves a device alone that another volume has got since', async () => {
    await takeDownWhere('e1.1');
    expect(state.get(ADDRESS)).toBeUndefined();
  });

  test('keeps what is mounted, where nobody else has the device', async () => {
    await expect(takeDownWhere(undefined)).rejects.toThrow('it is still shown at /');
    expect(state.get(ADDRESS)?.device).toBe(DEVICE);
  });
});
