import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { Leftovers } from '../../src/node/leftovers.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { NodeService } from '../../src/node/node-service.ts';
import type { StagedVolume } from '../../src/node/staging/staged-volume.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import { VolumeError } from '../../src/volumes/errors.ts';
import type { Store } from '../../src/volumes/store.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, targetRecord } from '../support/volumes-records.ts';
import { stagedVolume } from '../support/staged-volume.ts';

const { claim } = claimRecord();
const LATER_MS = 180_000;
const silent = Logger.create('silent');

let laboratory: EmbeddedLaboratory;
let store: Store;
let state: StateDirectory;
let recorder: NodeRecorder;
let service: NodeService;
/** What the initiator answers when it is asked what it has attached. */
let attachment: () => Promise<undefined>;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
  state = new StateDirectory(join(laboratory.directory, 'state'), 'boot');
  recorder = new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' }, []);
  attachment = async () => Promise.resolve(undefined);
  const stand: Partial<Record<keyof InitiatorClient, unknown>> = { attachment: async () => attachment() };
  const initiator = stand as unknown as InitiatorClient;
  const parts = { nodeId: 'node-1', clusterId: 'c', bootId: 'boot', store, initiator, recorder, state };
  service = new NodeService(parts, { deadAfterMs: 1_000 });
});
afterEach(async () => laboratory.remove());

/** As a call has left it that could not go on. */
async function left(address: string, phase: StagedVolume['phase']): Promise<string> {
  const volumeId = `${address}@${claim}`;
  const publications = [{ nodeId: 'node-1', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 5 }];
  await store.targets.create(
    address,
    targetRecord(address, { state: 'Claimed', claim: claimRecord({ epoch: 5 }), publications }),
  );
  await state.save(stagedVolume({ volumeId, address, stagingPath: laboratory.directory, phase }));
  await recorder.announce(volumeId, 5);
  return volumeId;
}

/** A look when nobody has called for so long. */
async function lookAfter(quietMs: number): Promise<void> {
  // Whole numbers: the difference is what was added, to the last bit.
  let steadyMs = Math.ceil(performance.now());
  const leftovers = new Leftovers({ state }, service, silent, () => steadyMs);
  steadyMs += quietMs;
  await leftovers.look();
}

const staged = async (): Promise<string[]> => Object.keys((await store.nodes.get('node-1'))?.value.staged ?? {});

describe('look()', () => {
  test('takes down what calls have left that nobody makes again, and nothing that is staged', async () => {
    await left('e1.0', 'unstaging');
    await left('e1.1', 'staging');
    const inUse = await left('e1.2', 'staged');
    await lookAfter(LATER_MS);
    expect(state.list().map(({ volumeId }) => volumeId)).toEqual([inUse]);
    expect(await staged()).toEqual([inUse]);
  });

  test('keeps out of the way while a kubelet may still call', async () => {
    const volumeId = await left('e1.0', 'unstaging');
    await lookAfter(LATER_MS - 1);
    expect(await staged()).toEqual([volumeId]);
    attachment = async () => Promise.reject(new VolumeError('unavailable', 'the initiator is away'));
    await expect(service.unstage(volumeId, laboratory.directory, silent)).rejects.toThrow('the initiator is away');
    attachment = async () => Promise.resolve(undefined);
    // Started long ago, and called a moment ago.
    let steadyMs = performance.now() - LATER_MS;
    const leftovers = new Leftovers({ state }, service, silent, () => steadyMs);
    steadyMs = performance.now();
    await leftovers.look();
    expect(await staged()).toEqual([volumeId]);
  });

  test('leaves to whoever works on it what is being worked on, and tries again what has failed', async () => {
    const volumeId = await left('e1.0', 'unstaging');
    await service.lock.run('volume e1.0', async () => lookAfter(LATER_MS));
    attachment = async () => Promise.reject(new VolumeError('unavailable', 'the initiator is away'));
    await lookAfter(LATER_MS);
    expect(await staged()).toEqual([volumeId]);
    attachment = async () => Promise.resolve(undefined);
    await lookAfter(LATER_MS);
    expect(await staged()).toEqual([]);
  });
});
