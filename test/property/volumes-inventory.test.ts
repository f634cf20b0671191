import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatConfigString } from '../../src/volumes/claim.ts';
import { nextTarget } from '../../src/volumes/inventory.ts';
import { targetRecordProblem } from '../../src/volumes/record-check.ts';
import { FENCING_LEVELS, TARGET_STATES, type NodeRecord, type TargetRecord } from '../../src/volumes/records.ts';
import { claimRecord, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const A = 'e1.1';
const CLUSTER = 'c';
const OURS = formatConfigString(CLUSTER, claimRecord().claim);
const configStrings = fc.constantFrom('', 'x', OURS, formatConfigString('d', claimRecord().claim));
const identities = fc.record({ serial: fc.constantFrom('s', 't'), model: fc.constant('m'), sizeBytes: fc.constantFrom(1, 2, 3) });
const fencing = fc.constantFrom(...FENCING_LEVELS);
/** None to three nodes that see the target, and one that doesn't. */
const nodeLists: fc.Arbitrary<NodeRecord[]> = fc
  .array(fc.record({ identity: identities, configString: configStrings, fencing, isFencingUnknown: fc.boolean() }), {
    maxLength: 3,
  })
  .map((sights) => [
    nodeRecord('blind', []),
    ...sights.map((sight, index) => nodeRecord(`${index}`, [], { targets: { [A]: sightRecord(A, sight) } })),
  ]);
const records: fc.Arbitrary<TargetRecord> = fc
  .record({ state: fc.constantFrom(...TARGET_STATES), identity: identities, fencing, confirmed: fc.boolean() })
  .map(({ state, identity, fencing: level, confirmed }) => {
    const isOwned = state === 'Claimed' || state === 'Released' || state === 'Wiping';
    return targetRecord(A, { state, identity, fencing: level, claim: isOwned ? claimRecord({ confirmed }) : undefined });
  });

test('nextTarget() settles at once: what it has decided it does not change again', () => {
  fc.assert(
    fc.property(fc.option(records, { nil: undefined }), nodeLists, (record, nodes) => {
      const next = nextTarget(A, record, nodes, CLUSTER);
      if (next !== undefined) expect(nextTarget(A, next, nodes, CLUSTER)).toBeUndefined();
    }),
    { numRuns: 1_000 },
  );
});

test('nextTarget() never takes a claim, a publication or a task away, nor frees what carries a string', () => {
  fc.assert(
    fc.property(records, nodeLists, (record, nodes) => {
      const next = nextTarget(A, record, nodes, CLUSTER) ?? record;
      expect([next.claim, next.publications, next.task]).toEqual([record.claim, record.publications, record.task]);
      if (record.claim !== undefined) expect(next.state).toBe(record.state);
      const strings = new Set(nodes.flatMap(({ targets }) => targets[A]?.configString ?? []));
      // One that was free stays so while nodes disagree about a claim of ours: some have not looked since it was taken away.
      const isRemembered = record.state === 'Available' && strings.size === 2 && strings.has('') && strings.has(OURS);
      if (!isRemembered && [...strings].some((text) => text !== '')) expect(next.state).not.toBe('Available');
      expect(targetRecordProblem(A, next)).toBeUndefined();
    }),
    { numRuns: 1_000 },
  );
});

test('nextTarget() does not depend on which node is asked first, but for the words', () => {
  fc.assert(
    fc.property(fc.option(records, { nil: undefined }), nodeLists, (record, nodes) => {
      const wordless = (next: TargetRecord | undefined) => next && { state: next.state, fencing: next.fencing };
      fc.pre(new Set(nodes.flatMap(({ targets }) => targets[A]?.identity.serial ?? [])).size < 2);
      const [one, other] = [nodes, nodes.toReversed()].map((order) => nextTarget(A, record, order, CLUSTER));
      expect(wordless(one ?? record)).toEqual(wordless(other ?? record));
      expect((one ?? record)?.identity).toEqual((other ?? record)?.identity);
    }),
    { numRuns: 500 },
  );
});
