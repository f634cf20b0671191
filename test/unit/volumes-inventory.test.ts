import { describe, expect, test } from '@jest/globals';
import { formatConfigString, staticClaimOf } from '../../src/volumes/claim.ts';
import { addressesSeen, nextTarget, sightingsByAddress } from '../../src/volumes/inventory.ts';
import type { NodeRecord, SightRecord, TargetRecord } from '../../src/volumes/records.ts';
import { claimRecord, GI, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const CLUSTER = 'cluster-1';
const CLAIM = claimRecord().claim;
const OURS = formatConfigString(CLUSTER, CLAIM);
const THEIRS = formatConfigString('cluster-2', CLAIM);
const A = 'e10.3';
const STATIC = formatConfigString(CLUSTER, staticClaimOf(CLUSTER, A));

/** Nodes that see the target, or nothing where it says undefined. */
function nodesSeeing(...sights: (Partial<SightRecord> | undefined)[]): NodeRecord[] {
  return sights.map((differences, index) => {
    const targets = differences === undefined ? {} : { [A]: sightRecord(A, differences) };
    return nodeRecord(`node-${index + 1}`, [], { targets });
  });
}

function next(record: TargetRecord | undefined, ...sights: Partial<SightRecord>[]): TargetRecord | undefined {
  return nextTarget(A, record, nodesSeeing(undefined, ...sights), CLUSTER);
}

const free = targetRecord(A);
const foreign = targetRecord(A, { state: 'Foreign', reason: 'claimed by cluster cluster-2 (claim abcdefghijklmnopqrstuvwxyz)' });
const missing = targetRecord(A, { state: 'Missing', reason: 'no live node sees it' });
const claimed = targetRecord(A, { state: 'Claimed', claim: claimRecord() });

describe('nextTarget() of a target that is nobody’s', () => {
  test('is Available when first seen with an empty config string', () => {
    expect(next(undefined, {})).toEqual(free);
    expect(next(undefined)).toBeUndefined();
  });

  test.each([
    ['another cluster', THEIRS, 'claimed by cluster cluster-2 (claim abcdefghijklmnopqrstuvwxyz)'],
    ['somebody', 'backup server', `claimed by somebody who wrote 'backup server'`],
    [
      'this cluster without a record',
      OURS,
      `claimed by this cluster (claim ${CLAIM}), but no such volume is known; if nobody needs it, give it back: aoe-csi release`,
    ],
  ])('is Foreign with the owner when the config string is of %s', (_who, configString, reason) => {
    expect(next(undefined, { configString })).toEqual({ ...free, state: 'Foreign', reason });
    expect(next(free, { configString })).toEqual({ ...free, state: 'Foreign', reason });
    expect(next(missing, { configString })).toEqual({ ...free, state: 'Foreign', reason });
  });

  test('stays as it is when nothing new is seen', () => {
    expect(next(free, {})).toBeUndefined();
    expect(next(foreign, { configString: THEIRS })).toBeUndefined();
    expect(next(missing)).toBeUndefined();
  });

  test('goes Missing and comes back', () => {
    expect(next(free)).toEqual(missing);
    expect(next(foreign)).toMatchObject({ state: 'Missing' });
    expect(next(missing, {})).toEqual(free);
  });

  test('is Available again when the foreign owner has taken its string away', () => {
    expect(next(foreign, {})).toEqual(free);
  });

  test('is Foreign as soon as one node sees a string, whatever the others remember', () => {
    expect(next(free, {}, { configString: THEIRS }, {})).toMatchObject({ state: 'Foreign' });
  });

  test('stays Available while some nodes remember the claim of ours that another has taken away', () => {
    expect(next(free, { configString: OURS }, {})).toBeUndefined();
    expect(next(free, {}, { configString: OURS }, { configString: OURS })).toBeUndefined();
    expect(next(free, { configString: OURS }, { configString: OURS })).toMatchObject({ state: 'Foreign' });
    expect(next(free, { configString: OURS }, { configString: THEIRS }, {})).toMatchObject({ state: 'Foreign' });
    expect(next(undefined, { configString: OURS }, {})).toMatchObject({ state: 'Foreign' });
    expect(next(missing, { configString: OURS }, {})).toMatchObject({ state: 'Foreign' });
  });

  test('is Foreign when two nodes see different disks there', () => {
    const identity = { serial: 'other', model: 'Disk', sizeBytes: GI };
    expect(next(free, {}, { identity })).toMatchObject({
      state: 'Foreign',
      reason:
        `two disks share the address ${A}: node node-2 sees serial 'serial of ${A}', model 'Disk', ${100 * GI} bytes, ` +
        `node node-3 sees serial 'other', model 'Disk', ${GI} bytes; give one of them another address`,
    });
  });

  test('counts on no more size and fencing than all nodes see', () => {
    const identity = { ...free.identity, sizeBytes: 90 * GI };
    expect(next(undefined, { fencing: 'claim' }, { identity }, {})).toMatchObject({ identity, fencing: 'claim' });
  });

  test('leaves the level as it is while no node has found out another, and counts on no more than a config string at first', () => {
    const unknown = { fencing: 'claim', isFencingUnknown: true } as const;
    const unsure = { ...free, fencing: 'claim' };
    for (const [record, configString] of [
      [free, ''],
      [claimed, OURS],
      [targetRecord(A, { state: 'Static' }), STATIC],
    ] as const) {
      const seen = { ...unknown, configString };
      expect(next(record, seen)).toBeUndefined();
      expect(next({ ...record, fencing: 'claim' }, seen, { ...seen, fencing: 'reserve', isFencingUnknown: false })).toEqual(
        record,
      );
      expect(next(record, seen, { ...seen, isFencingUnknown: false })).toEqual({ ...record, fencing: 'claim' });
    }
    expect(next(undefined, unknown)).toEqual(unsure);
    expect(next(undefined, unknown, {})).toEqual(free);
    expect(next(missing, unknown)).toEqual(free);
    const identity = { serial: 'new', model: 'Disk', sizeBytes: 200 * GI };
    expect(next(free, { ...unknown, identity })).toEqual({ ...unsure, identity });
  });

  test('takes up another disk, unless a static volume on it is published', () => {
    const identity = { serial: 'new', model: 'Disk', sizeBytes: 200 * GI };
    expect(next(free, { identity })).toMatchObject({ state: 'Available', identity });
    const publications = [{ nodeId: 'n', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 1 }];
    const used = { ...free, publications };
    expect(next(used, { identity })).toEqual({
      ...used,
      state: 'Foreign',
      reason: expect.stringMatching(
        /^another disk is at this address: the volume is on serial 'serial of e10.3'.*seen is serial 'new'/,
      ),
    });
    expect(next(used, { identity: { ...free.identity, sizeBytes: 101 * GI } })).toMatchObject({
      state: 'Available',
      publications,
    });
  });
});

describe('nextTarget() of a target that a static volume has claimed', () => {
  const configString = STATIC;
  const fixed = targetRecord(A, { state: 'Static' });

  test('is Static, and stays so when the target has forgotten that or is not seen', () => {
    expect(next(undefined, { configString })).toEqual(fixed);
    expect(next(free, { configString })).toEqual(fixed);
    expect(next(fixed, { configString })).toBeUndefined();
    expect(next(fixed, {})).toBeUndefined();
    expect(next(fixed)).toEqual({ ...fixed, reason: 'no live node sees it' });
  });

  test('stays Static while something is wrong with it, says what, and is not free when that has passed', () => {
    const identity = { serial: 'other', model: 'Disk', sizeBytes: GI };
    const doubtful = next(fixed, { configString }, { identity, configString });
    expect(doubtful).toEqual({ ...fixed, reason: expect.stringMatching(/^two disks share the address e10\.3/) });
    expect(next(doubtful, {})).toEqual(fixed);
    const taken = next(fixed, { configString: THEIRS });
    expect(taken).toEqual({ ...fixed, reason: `claimed by cluster cluster-2 (claim ${CLAIM})` });
    expect(next(taken, {})).toEqual(fixed);
    const publications = [{ nodeId: 'n', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 1 }];
    const used = { ...fixed, publications };
    expect(next(used, { configString, identity })).toEqual({ ...used, reason: expect.stringContaining('another disk') });
    expect(next(fixed, { configString, identity })).toEqual({ ...fixed, identity });
  });

  test('is Foreign with the string of another address or cluster', () => {
    for (const [cluster, address] of [
      [CLUSTER, 'e10.4'],
      ['cluster-2', A],
    ] as const) {
      const other = formatConfigString(cluster, staticClaimOf(cluster, address));
      expect(next(free, { configString: other })).toMatchObject({ state: 'Foreign' });
    }
  });
});

describe('nextTarget() of a claimed target', () => {
  test('stays Claimed whatever is seen, and says what is wrong', () => {
    const cases: readonly (readonly [readonly Partial<SightRecord>[], string])[] = [
      [[], 'no live node sees it'],
      [[{ configString: '' }], 'the target has forgotten its claim'],
      [[{ configString: THEIRS }], `the target is claimed by cluster cluster-2 (claim ${CLAIM})`],
      [
        [{ configString: formatConfigString(CLUSTER, 'z'.repeat(26)) }],
        `the target is claimed for another volume of this cluster (claim ${'z'.repeat(26)})`,
      ],
    ];
    for (const [sights, reason] of cases) expect(next(claimed, ...sights)).toEqual({ ...claimed, reason });
    expect(next({ ...claimed, reason: 'no live node sees it' }, { configString: OURS })).toEqual(claimed);
  });

  test('needs no config string before the claim is confirmed', () => {
    const unconfirmed = { ...claimed, claim: claimRecord({ confirmed: false }) };
    expect(next(unconfirmed, {})).toBeUndefined();
    expect(next(unconfirmed, { configString: OURS })).toBeUndefined();
  });

  test('notes a disk that has grown', () => {
    const identity = { ...free.identity, sizeBytes: 200 * GI };
    expect(next(claimed, { configString: OURS, identity })).toEqual({ ...claimed, identity });
  });

  test('keeps the identity of the disk it was claimed on when another one or a shrunk one is there', () => {
    const other = { serial: 'other', model: 'Disk', sizeBytes: 200 * GI };
    expect(next(claimed, { configString: OURS, identity: other })).toEqual({
      ...claimed,
      reason: expect.stringContaining('another disk'),
    });
    const shrunk = { ...free.identity, sizeBytes: 99 * GI };
    expect(next(claimed, { configString: OURS, identity: shrunk })).toEqual({
      ...claimed,
      reason: expect.stringContaining('the disk has shrunk'),
    });
  });

  test('leaves Released and Wiping alone', () => {
    for (const state of ['Released', 'Wiping'] as const) {
      for (const sights of [[], [{}], [{ configString: THEIRS }]]) expect(next({ ...claimed, state }, ...sights)).toBeUndefined();
    }
  });
});

test('addressesSeen() and sightingsByAddress() know each target once and leave out what is no address', () => {
  const nodes = [nodeRecord('1', ['e1.1', 'e1.2']), nodeRecord('2', ['e1.2']), nodeRecord('3', ['x', '../e1.1', 'e1.300'])];
  expect([...addressesSeen(nodes)]).toEqual(['e1.1', 'e1.2']);
  const seers = [...sightingsByAddress(nodes)].map(([address, sightings]) => [address, sightings.map(({ nodeId }) => nodeId)]);
  expect(seers).toEqual([
    ['e1.1', ['1']],
    ['e1.2', ['1', '2']],
  ]);
});
