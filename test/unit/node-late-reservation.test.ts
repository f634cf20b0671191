import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import { Staging } from '../../src/node/staging/staging.ts';
import { Unstaging } from '../../src/node/staging/unstaging.ts';
import { formatConfigString } from '../../src/volumes/claim.ts';
import { change, type Store } from '../../src/volumes/store.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';

const CLUSTER = 'c';
const MAC = '02:00:00:00:00:01';
const HEIR = '02:00:00:00:00:02';
const { claim } = claimRecord();
const volumeId = `e1.0@${claim}`;

let laboratory: EmbeddedLaboratory;
let store: Store;
/** What was asked of the initiator, in order. */
let asked: string[];
/** For whom the target is reserved. */
let macs: readonly string[];
/** It answers nothing that would give it back. */
let isDeaf: boolean;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
  const publications = [{ nodeId: 'node-1', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 5 }];
  await store.targets.create('e1.0', targetRecord('e1.0', { state: 'Claimed', claim: claimRecord({ epoch: 5 }), publications }));
  asked = [];
  macs = [MAC];
  isDeaf = false;
});
afterEach(async () => laboratory.remove());

/**
 * An initiator before a target that keeps to the rules; only what a stage asks it before it attaches.
 * @param reserved called when the target has been reserved
 */
function initiator(reserved: () => Promise<void>): InitiatorClient {
  const { serial, model, sizeBytes } = targetRecord('e1.0').identity;
  const stand: Partial<Record<keyof InitiatorClient, unknown>> = {
    target: async () => Promise.resolve({ name: 'e1.0', serial, model, sectors: sizeBytes / 512 }),
    interfaces: async () => Promise.resolve([{ name: 'eth1', state: 'up', mac: MAC }]),
    configString: async () => Promise.resolve({ error: 0, texts: [formatConfigString(CLUSTER, claim)], silent: 0 }),
    reserved: async () => Promise.resolve({ error: 0, lists: [macs], silent: 0 }),
    attachment: async () => Promise.resolve(undefined),
    reserve: async (_address: string, mode: string, wanted: 'own' | readonly string[]) => {
      asked.push(mode);
      if (isDeaf && mode === 'SET') throw new Error('the target does not answer');
      macs = wanted === 'own' ? [MAC] : wanted;
      if (mode === 'FORCE_SET') await reserved();
      return { error: 0, lists: [macs], silent: 0 };
    },
    attach: async () => {
      asked.push('attach');
      return Promise.reject(new Error('this far and no further'));
    },
  };
  return stand as unknown as InitiatorClient;
}

async function stage(reserved: () => Promise<void>): Promise<void> {
  const folder = join(laboratory.directory, 'state');
  mkdirSync(folder);
  const state = new StateDirectory(folder, 'boot');
  const recorder = new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' }, []);
  const parts = { nodeId: 'node-1', clusterId: CLUSTER, bootId: 'boot', store, initiator: initiator(reserved), recorder, state };
  const staging = new Staging(parts, new Unstaging(parts, { deadAfterMs: 1_000 }));
  await staging.stage(
    {
      volumeId,
      stagingPath: folder,
      usage: { access: { kind: 'block' }, mode: 'SINGLE_NODE_WRITER' },
      publishContext: { epoch: '5' },
      volumeContext: {},
      remainingMs: () => 10_000,
    },
    undefined,
    Logger.create('silent'),
  );
}

describe('Staging', () => {
  test('attaches when it has reserved the target and is still the one it is published to', async () => {
    await expect(stage(async () => Promise.resolve())).rejects.toThrow('this far and no further');
    expect(asked).toEqual(['FORCE_SET', 'attach']);
  });

  test.each([
    ['takes over what a node has left that could still reserve it', ['02:00:00:00:00:99'], ['FORCE_SET', 'attach']],
    ['attaches what nobody has reserved', [], ['attach']],
  ])('of a target that counts as one without reservations %s', async (_name, left, expected) => {
    await change(store.targets, 'e1.0', (target) => ({ ...target, fencing: 'claim' as const }));
    macs = left;
    await expect(stage(async () => Promise.resolve())).rejects.toThrow('this far and no further');
    expect(asked).toEqual(expected);
  });

  test('does not attach when the volume was being taken away before the reservation: it came late, from a node that was stalled', async () => {
    const takeAway = async (): Promise<void> => {
      await change(store.targets, 'e1.0', (target) => ({
        ...target,
        publications: target.publications.map((publication) => ({ ...publication, isLeaving: true })),
      }));
    };
    await expect(stage(takeAway)).rejects.toThrow(/is being unpublished from there/);
    // Nobody has it: to let everybody in is to let in who has lost it.
    expect([asked, macs]).toEqual([['FORCE_SET'], [MAC]]);
  });

  test('gives what it took too late back to the node that has the volume by now', async () => {
    await store.nodes.create('node-2', nodeRecord('node-2', ['e1.0'], { macs: [HEIR] }));
    const moveOn = async (): Promise<void> => {
      const publications = [{ nodeId: 'node-2', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 6 }];
      await change(store.targets, 'e1.0', (target) => ({ ...target, publications }));
    };
    await expect(stage(moveOn)).rejects.toThrow(/not published/);
    expect([asked, macs]).toEqual([['FORCE_SET', 'SET'], [HEIR]]);
  });

  test('does not open to everybody what it could not give back', async () => {
    await store.nodes.create('node-2', nodeRecord('node-2', ['e1.0'], { macs: [HEIR] }));
    isDeaf = true;
    const moveOn = async (): Promise<void> => {
      const publications = [{ nodeId: 'node-2', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 6 }];
      await change(store.targets, 'e1.0', (target) => ({ ...target, publications }));
    };
    await expect(stage(moveOn)).rejects.toThrow(/does not answer/);
    expect([asked, macs]).toEqual([['FORCE_SET', 'SET'], [MAC]]);
  });

  test('opens what it took too late when nobody knows of the target any more', async () => {
    const forget = async (): Promise<void> => store.targets.delete('e1.0', (await store.targets.get('e1.0'))!.version);
    await expect(stage(forget)).rejects.toMatchObject({ code: 'not-found' });
    expect([asked, macs]).toEqual([['FORCE_SET', 'SET'], []]);
  });
});
