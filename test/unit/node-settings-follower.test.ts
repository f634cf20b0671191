import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { SettingsFollower } from '../../src/node/settings-follower.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import { VolumeError } from '../../src/volumes/errors.ts';
import { KeyedLock } from '../../src/volumes/keyed-lock.ts';
import type { Store } from '../../src/volumes/store.ts';
import { eventually } from '../support/faults-process.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, targetRecord } from '../support/volumes-records.ts';
import { stagedVolume } from '../support/staged-volume.ts';

const AGAIN_MS = 10_000;

let laboratory: EmbeddedLaboratory;
let store: Store;
let follower: SettingsFollower;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
});
afterEach(async () => {
  follower.stop();
  await laboratory.remove();
});

test('SettingsFollower applies changed parameters as soon as the initiator is back that was away when they were changed', async () => {
  const claim = claimRecord({ parameters: { deadSeconds: '0' }, mutableParameters: { deadSeconds: '9' } });
  await store.targets.create('e1.0', targetRecord('e1.0', { state: 'Claimed', claim }));
  let tries = 0;
  const applied: unknown[] = [];
  const stand: Partial<Record<keyof InitiatorClient, unknown>> = {
    interfaces: async () => Promise.resolve([]),
    modify: async (_address: string, settings: unknown) => {
      tries += 1;
      if (tries === 1) return Promise.reject(new VolumeError('unavailable', 'the initiator is away'));
      applied.push(settings);
      return Promise.resolve();
    },
  };
  const state = new StateDirectory(join(laboratory.directory, 'state'), 'boot');
  const volumeId = `e1.0@${claim.claim}`;
  await state.save(
    stagedVolume({ volumeId, address: 'e1.0', stagingPath: laboratory.directory, device: '/dev/nbd0', deviceNumber: '43:0' }),
  );
  const recorder = new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' }, []);
  const initiator = stand as unknown as InitiatorClient;
  const parts = { nodeId: 'node-1', clusterId: 'c', bootId: 'boot', store, initiator, recorder, state };
  follower = new SettingsFollower(parts, new KeyedLock(), Logger.create('silent'));
  follower.start();
  await eventually('the change to be applied', AGAIN_MS, () => applied.length > 0);
  expect(applied).toMatchObject([{ deadSeconds: 9 }]);
  await eventually('that to be remembered', AGAIN_MS, () => state.get('e1.0')?.attach.deadSeconds === 9);
});
