import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareAddresses } from '../../src/volumes/addresses.ts';
import { readParameters, settingsOf } from '../../src/volumes/parameters.ts';
import { placeVolume, type PlacementRequest } from '../../src/volumes/placement.ts';
import type { NodeRecord, TargetRecord } from '../../src/volumes/records.ts';
import { GI, nodeLists, targetLists, termLists } from '../support/volumes-records.ts';

interface Wanted {
  readonly required: number;
  readonly limit: number;
  readonly class: Readonly<Record<string, string>>;
  readonly requisite: readonly Readonly<Record<string, string>>[];
  readonly preferred: readonly Readonly<Record<string, string>>[];
}

const wishes: fc.Arbitrary<Wanted> = fc.record({
  required: fc.constantFrom(0, 1, GI, 9 * GI, 10 * GI, 11 * GI),
  limit: fc.constantFrom(0, 0, 20 * GI),
  class: fc.record(
    {
      shelves: fc.constantFrom('0-65534', '0-2', '10'),
      slots: fc.constantFrom('0-254', '1,3'),
      maxWaste: fc.constantFrom('100%', '50%', '0%', '5Gi'),
      fencing: fc.constantFrom('reserve', 'claim', 'none'),
      interfaces: fc.constantFrom('', 'eth*', 'san0', 'eth2,none'),
    },
    { requiredKeys: [] },
  ),
  requisite: termLists,
  preferred: termLists,
});

function requestOf({ required, limit, class: given, requisite, preferred }: Wanted): PlacementRequest {
  return {
    range: { requiredBytes: required, limitBytes: limit },
    settings: settingsOf(readParameters('StorageClass', given).parameters),
    topology: { requisite, preferred },
  };
}

const holds = (node: NodeRecord, term: Readonly<Record<string, string>>) =>
  Object.keys(term).every((key) => node.segments[key] === term[key]);

/** Whether a term is about a node: it is at no other place, or nobody is at just this one and the node has all of it. */
function isAbout(term: Readonly<Record<string, string>>, node: NodeRecord, nodes: readonly NodeRecord[]): boolean {
  const isThere = (each: NodeRecord): boolean => holds(each, term) && Object.keys(each.segments).every((key) => key in term);
  return nodes.some(isThere) ? isThere(node) : holds(node, term);
}

/** Interfaces that a text of `wishes` allows, said in another way than the driver does. */
const INTERFACES: Readonly<Record<string, readonly string[]>> = {
  '': ['eth1', 'eth2', 'san0'],
  'eth*': ['eth1', 'eth2'],
  san0: ['san0'],
  'eth2,none': ['eth2'],
};

/** The nodes from which a wish may be served by a target. */
function nodesFor(wanted: Wanted, target: TargetRecord, nodes: readonly NodeRecord[]): NodeRecord[] {
  const allowed = INTERFACES[wanted.class['interfaces'] ?? ''];
  return nodes.filter(
    (node) =>
      (wanted.requisite.length === 0 || wanted.requisite.some((term) => isAbout(term, node, nodes))) &&
      node.targets[target.address]?.interfaces.some((name) => allowed.includes(name)),
  );
}

function grantOf({ required, limit }: Wanted, { identity }: TargetRecord): number {
  if (required > 0) return required;
  return limit > 0 && limit < identity.sizeBytes ? limit : identity.sizeBytes;
}

/** Whether a target may serve a wish, written out a second time without the driver's own parts. */
function mayServe(wanted: Wanted, target: TargetRecord, nodes: readonly NodeRecord[]): boolean {
  const [shelf, slot] = target.address.slice(1).split('.').map(Number);
  const given: Readonly<Record<string, string | undefined>> = wanted.class;
  const isOnShelf = { '0-65534': true, '0-2': shelf <= 2, '10': shelf === 10 }[given['shelves'] ?? '0-65534'];
  const isInSlot = given['slots'] === '1,3' ? slot === 1 || slot === 3 : true;
  const size = target.identity.sizeBytes;
  const waste = size - grantOf(wanted, target);
  const wasteMost = { '100%': size, '50%': size / 2, '0%': 0, '5Gi': 5 * GI }[given['maxWaste'] ?? '100%'] ?? NaN;
  const levels = ['none', 'claim', 'reserve'];
  const isFenced = levels.indexOf(target.fencing) >= levels.indexOf(given['fencing'] ?? 'claim');
  const isFree = target.state === 'Available';
  const isReached = nodesFor(wanted, target, nodes).length > 0;
  return (
    isOnShelf === true && isInSlot && size > 0 && size >= wanted.required && waste <= wasteMost && isFenced && isFree && isReached
  );
}

describe('placeVolume()', () => {
  test('offers exactly the targets that may be taken, and accounts for every other', () => {
    fc.assert(
      fc.property(wishes, targetLists, nodeLists, (wanted, targets, nodes) => {
        const { candidates, rejected } = placeVolume(requestOf(wanted), targets, nodes);
        const offered = candidates.map(({ target }) => target.address);
        const expected = targets.filter((target) => mayServe(wanted, target, nodes)).map(({ address }) => address);
        expect(offered.toSorted()).toEqual(expected.toSorted());
        expect([...rejected.values()].reduce((sum, count) => sum + count, offered.length)).toBe(targets.length);
      }),
      { numRuns: 1_500 },
    );
  });

  test('never offers a target that is too small, taken or not allowed', () => {
    fc.assert(
      fc.property(wishes, targetLists, nodeLists, (wanted, targets, nodes) => {
        for (const { target, grantedBytes, wasteBytes } of placeVolume(requestOf(wanted), targets, nodes).candidates) {
          expect(target.identity.sizeBytes).toBeGreaterThanOrEqual(wanted.required);
          expect(grantedBytes).toBeGreaterThanOrEqual(wanted.required);
          expect(grantedBytes).toBeGreaterThan(0);
          expect(grantedBytes + wasteBytes).toBe(target.identity.sizeBytes);
          expect(target).toMatchObject({ state: 'Available', claim: undefined, publications: [] });
        }
      }),
      { numRuns: 500 },
    );
  });

  test('puts preferred places first, then least waste, then the lowest address', () => {
    fc.assert(
      fc.property(wishes, targetLists, nodeLists, (wanted, targets, nodes) => {
        const { candidates } = placeVolume(requestOf(wanted), targets, nodes);
        for (const { target, preference } of candidates) {
          const servers = nodesFor(wanted, target, nodes);
          const place = wanted.preferred.findIndex((term) => servers.some((node) => isAbout(term, node, nodes)));
          expect(preference).toBe(place < 0 ? wanted.preferred.length : place);
        }
        for (const [index, better] of candidates.slice(0, -1).entries()) {
          const worse = candidates[index + 1];
          const differences = [
            better.preference - worse.preference,
            better.wasteBytes - worse.wasteBytes,
            better.target.identity.sizeBytes - worse.target.identity.sizeBytes,
            compareAddresses(better.target.address, worse.target.address),
          ];
          expect(differences.find((difference) => difference !== 0)).toBeLessThan(0);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('answers the same whatever the order of targets and nodes', () => {
    fc.assert(
      fc.property(wishes, targetLists, nodeLists, (wanted, targets, nodes) => {
        const request = requestOf(wanted);
        expect(placeVolume(request, targets.toReversed(), nodes.toReversed()).candidates).toEqual(
          placeVolume(request, targets, nodes).candidates,
        );
      }),
      { numRuns: 300 },
    );
  });
});
