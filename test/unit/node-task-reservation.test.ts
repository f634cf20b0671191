import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Logger } from '../../src/logging/logger.ts';
import { fenceTarget } from '../../src/node/tasks/fence-task.ts';
import { wipeTarget } from '../../src/node/tasks/wipe-task.ts';
import type { PublicationRecord, TargetRecord, TaskRecord } from '../../src/volumes/records.ts';
import { change, type Store } from '../../src/volumes/store.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { beforeClaimed, taskParts, type InitiatorStand } from '../support/task-parts.ts';
import { claimRecord, nodeRecord, targetRecord } from '../support/volumes-records.ts';

const CLAIM = claimRecord({ epoch: 5 });
const MACS = { lost: '02:00:00:00:00:0a', own: '02:00:00:00:00:0f', heir: '02:00:00:00:00:0b', other: '02:00:00:00:00:0c' };

const task = (kind: TaskRecord['kind'], id: string, nodeId: string): TaskRecord => {
  return { kind, id, nodeId, state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 };
};
const published = (nodeId: string, epoch: number): PublicationRecord => {
  return { nodeId, readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch };
};
const FENCE = task('fence', 'fence:5:lost', 'own');
const FENCED = targetRecord('e1.0', { state: 'Claimed', claim: CLAIM, publications: [published('lost', 5)], task: FENCE });
const WIPE = task('wipe', `wipe:${CLAIM.claim}`, 'own');
const WIPED = targetRecord('e1.0', { state: 'Released', claim: CLAIM, task: WIPE });

let laboratory: EmbeddedLaboratory;
let store: Store;
/** For whom the target is reserved. */
let macs: readonly string[];
/** What happens while the node stalls before it reserves: when it goes on, the target is reserved for `macs`. */
let meanwhile: () => Promise<void>;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
  for (const [nodeId, mac] of Object.entries(MACS)) {
    await store.nodes.create(nodeId, nodeRecord(nodeId, ['e1.0'], { macs: [mac] }));
  }
  macs = [MACS.lost];
});
afterEach(async () => laboratory.remove());

/** An initiator before a target that keeps to the rules of reservations. */
function initiator(): InitiatorStand {
  return {
    ...beforeClaimed(CLAIM.claim, MACS.own),
    reserved: async () => Promise.resolve({ error: 0, lists: [macs], silent: 0 }),
    reserve: async (_address: string, mode: string, wanted: 'own' | readonly string[]) => {
      if (mode === 'FORCE_SET') await meanwhile();
      else if (macs.length > 0 && !macs.includes(MACS.own)) return { error: 6, lists: [macs], silent: 0 };
      macs = wanted === 'own' ? [MACS.own] : wanted;
      return { error: 0, lists: [macs], silent: 0 };
    },
  };
}

async function carryOut(target: TargetRecord): Promise<void> {
  await store.targets.create('e1.0', target);
  const parts = taskParts('own', store, laboratory.directory, initiator());
  const handed = { target, task: target.task!, logger: Logger.create('silent') };
  await (target.task?.kind === 'fence' ? fenceTarget : wipeTarget)(parts, handed);
}

/** The record becomes this, and the target is reserved for these. */
const becomes = (differences: Partial<TargetRecord>, reserved: readonly string[]) => async (): Promise<void> => {
  await change(store.targets, 'e1.0', (target) => ({ ...target, ...differences }));
  macs = reserved;
};

describe('a task that reserves its target', () => {
  test('keeps the reservation while the task is its own', async () => {
    meanwhile = async () => Promise.resolve();
    await carryOut(FENCED);
    expect(macs).toEqual([MACS.own]);
    expect((await store.targets.get('e1.0'))?.value.task?.state).toBe('done');
  });

  test.each<[string, TargetRecord, Partial<TargetRecord>, readonly string[], readonly string[]]>([
    [
      'a fence gives it back to the node that has the volume since',
      FENCED,
      { publications: [published('heir', 6)] },
      [MACS.heir],
      [MACS.heir],
    ],
    ['a fence leaves it to another fencer', FENCED, { task: { ...FENCE, nodeId: 'other' } }, [MACS.other], [MACS.other]],
    [
      'a fence leaves it to who fences the next node off',
      FENCED,
      { publications: [{ ...published('heir', 6), isLeaving: true }], task: task('fence', 'fence:6:heir', 'other') },
      [MACS.other],
      [MACS.other],
    ],
    ['a wipe gives it back to another wiper', WIPED, { task: { ...WIPE, nodeId: 'other' } }, [MACS.other], [MACS.other]],
    ['a wipe opens a target that is free since', WIPED, { state: 'Available', claim: undefined, task: undefined }, [], []],
    // An empty list would let in the node that was fenced off.
    ['a fence keeps it where nobody has the volume', FENCED, { publications: [], task: undefined }, [MACS.other], [MACS.own]],
  ])('that came too late to reserve: %s', async (_name, target, record, reserved, expected) => {
    meanwhile = becomes({ task: undefined, ...record }, reserved);
    await expect(carryOut(target)).rejects.toMatchObject({ code: 'aborted' });
    expect(macs).toEqual(expected);
  });
});
