import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import { Unstaging } from '../../src/node/staging/unstaging.ts';
import type { Store } from '../../src/volumes/store.ts';
import { stagedVolume } from '../support/staged-volume.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { nodeRecord } from '../support/volumes-records.ts';

/** A static volume that is detached already: its reservation is next. */
const STAGED = stagedVolume({ volumeId: 'e1.0', address: 'e1.0', stagingPath: '/nowhere', phase: 'unstaging', isReserved: true });

let laboratory: EmbeddedLaboratory;
let store: Store;
/** What was asked of the target about its reservation. */
let asked: string[];

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
  asked = [];
});
afterEach(async () => laboratory.remove());

async function unstage(): Promise<void> {
  const folder = join(laboratory.directory, 'state');
  mkdirSync(folder);
  const stand: Partial<Record<keyof InitiatorClient, unknown>> = {
    attachment: async () => Promise.resolve(undefined),
    attachments: async () => Promise.resolve([]),
    reserve: async (_address: string, mode: string, macs: readonly string[]) => {
      asked.push(`${mode} ${macs.join(',')}`);
      return Promise.resolve({ error: 0, lists: [macs], silent: 0 });
    },
  };
  const initiator = stand as unknown as InitiatorClient;
  const recorder = new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' }, []);
  const state = new StateDirectory(folder, 'boot');
  const parts = { nodeId: 'node-1', clusterId: 'c', bootId: 'boot', store, initiator, recorder, state };
  await recorder.announce('e1.0', STAGED.epoch);
  await new Unstaging(parts, { deadAfterMs: 1_000 }).takeDown(STAGED, Logger.create('silent'));
  expect((await store.nodes.get('node-1'))?.value.staged).toEqual({});
}

test.each([
  ['is given back at the end of its use', {}, ['SET ']],
  ['is given back beside a node that has said that it is fenced off', { 'e1.0': { epoch: 4, fenced: true } }, ['SET ']],
  // That one was silent while it was fenced off, and holds what it was about to write.
  ['stays while a node that had the volume before may still write to it', { 'e1.0': { epoch: 4, fenced: false } }, []],
])('the reservation of a static volume %s', async (_name, staged, expected) => {
  await store.nodes.create('node-2', nodeRecord('node-2', [], { staged }));
  await unstage();
  expect(asked).toEqual(expected);
});
