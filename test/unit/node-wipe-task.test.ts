import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { Logger } from '../../src/logging/logger.ts';
import type { AttachSettings, InitiatorClient } from '../../src/node/initiator-client.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import type { TaskParts } from '../../src/node/tasks/target-task.ts';
import { STEP_MS, WIPE_DEAD_SECONDS, wipeTarget } from '../../src/node/tasks/wipe-task.ts';
import { formatConfigString } from '../../src/volumes/claim.ts';
import { NODE_HEARTBEAT_MS, NODE_SILENT_MS } from '../../src/volumes/liveness.ts';
import type { TaskRecord } from '../../src/volumes/records.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, targetRecord } from '../support/volumes-records.ts';

const CLUSTER = 'c';
const CLAIM = claimRecord({ format: { state: 'formatted', fsType: 'ext4', uuid: '' }, parameters: { deadSeconds: '0' } });

let laboratory: EmbeddedLaboratory;
/** How it was attached. */
let attached: AttachSettings | undefined;

beforeEach(() => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  attached = undefined;
});
afterEach(async () => laboratory.remove());

/** An initiator before a target that knows no reservations; only what a wipe asks it until it attaches. */
function initiator(): InitiatorClient {
  const { serial, model, sizeBytes } = targetRecord('e1.0').identity;
  const stand: Partial<Record<keyof InitiatorClient, unknown>> = {
    target: async () => Promise.resolve({ name: 'e1.0', serial, model, sectors: sizeBytes / 512 }),
    interfaces: async () => Promise.resolve([{ name: 'eth1', state: 'up', mac: '02:00:00:00:00:01' }]),
    configString: async () => Promise.resolve({ error: 0, texts: [formatConfigString(CLUSTER, CLAIM.claim)], silent: 0 }),
    detach: async () => Promise.resolve(),
    attach: async (_address: string, settings: AttachSettings) => {
      attached = settings;
      return Promise.reject(new Error('this far and no further'));
    },
  };
  return stand as unknown as InitiatorClient;
}

describe('wipeTarget()', () => {
  test('holds nothing back for as long as it takes another node to be given its task', async () => {
    const store = await laboratory.open();
    const facts = { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot' };
    const parts: TaskParts = {
      nodeId: 'node-1',
      clusterId: CLUSTER,
      bootId: 'boot',
      store,
      initiator: initiator(),
      recorder: new NodeRecorder(store.nodes, facts, []),
      state: new StateDirectory(join(laboratory.directory, 'state'), 'boot'),
      reporter: { refresh: async () => Promise.resolve() },
    };
    const id = `wipe:${CLAIM.claim}`;
    const task: TaskRecord = { kind: 'wipe', id, nodeId: 'node-1', state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 };
    const target = targetRecord('e1.0', { state: 'Released', claim: CLAIM, fencing: 'claim', task });
    await expect(wipeTarget(parts, { target, task, logger: Logger.create('silent') })).rejects.toThrow('this far');
    expect(attached).toMatchObject({ readOnly: false, deadSeconds: WIPE_DEAD_SECONDS });
    // The last beat may be that old when a node falls silent.
    const aloneMs = NODE_SILENT_MS - NODE_HEARTBEAT_MS;
    expect(Math.max(STEP_MS, WIPE_DEAD_SECONDS * 1_000)).toBeLessThan(aloneMs);
  });
});
