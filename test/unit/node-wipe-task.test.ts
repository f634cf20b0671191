import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Logger } from '../../src/logging/logger.ts';
import type { AttachSettings } from '../../src/node/initiator-client.ts';
import { STEP_MS, WIPE_DEAD_SECONDS, wipeTarget } from '../../src/node/tasks/wipe-task.ts';
import { NODE_HEARTBEAT_MS, NODE_SILENT_MS } from '../../src/volumes/liveness.ts';
import type { TaskRecord } from '../../src/volumes/records.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { beforeClaimed, taskParts, type InitiatorStand } from '../support/task-parts.ts';
import { claimRecord, targetRecord } from '../support/volumes-records.ts';

const CLAIM = claimRecord({ format: { state: 'formatted', fsType: 'ext4', uuid: '' }, parameters: { deadSeconds: '0' } });

let laboratory: EmbeddedLaboratory;
/** How it was attached. */
let attached: AttachSettings | undefined;

beforeEach(() => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  attached = undefined;
});
afterEach(async () => laboratory.remove());

describe('wipeTarget()', () => {
  test('holds nothing back for as long as it takes another node to be given its task', async () => {
    const store = await laboratory.open();
    // Before a target that knows no reservations.
    const initiator: InitiatorStand = {
      ...beforeClaimed(CLAIM.claim, '02:00:00:00:00:01'),
      attach: async (_address: string, settings: AttachSettings) => {
        attached = settings;
        return Promise.reject(new Error('this far and no further'));
      },
    };
    const parts = taskParts('node-1', store, laboratory.directory, initiator);
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
