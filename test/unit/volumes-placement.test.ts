import { describe, expect, test } from '@jest/globals';
import { capacityRange } from '../../src/volumes/capacity.ts';
import { freeCapacity } from '../../src/volumes/free-capacity.ts';
import { readParameters, settingsOf } from '../../src/volumes/parameters.ts';
import { noPlace } from '../../src/volumes/placement-report.ts';
import { placeVolume, type PlacementRequest } from '../../src/volumes/placement.ts';
import type { NodeRecord, TargetRecord } from '../../src/volumes/records.ts';
import { ANYWHERE } from '../../src/volumes/topology.ts';
import { claimRecord, GI, nodeRecord, targetRecord } from '../support/volumes-records.ts';
import { patiently } from '../support/patience.ts';

function request(requiredBytes: number, given: Readonly<Record<string, string>> = {}, topology = ANYWHERE): PlacementRequest {
  return {
    range: capacityRange(requiredBytes, 0),
    settings: settingsOf(readParameters('StorageClass', given).parameters),
    topology,
  };
}

function sized(address: string, gibibytes: number, differences: Partial<TargetRecord> = {}): TargetRecord {
  return targetRecord(address, { identity: { serial: 's', model: 'm', sizeBytes: gibibytes * GI }, ...differences });
}

/** A node that sees all of them. */
function seeing(targets: readonly TargetRecord[]): NodeRecord {
  return nodeRecord(
    'node-1',
    targets.map(({ address }) => address),
  );
}

function errorFor(
  wanted: PlacementRequest,
  targets: readonly TargetRecord[],
  nodes: readonly NodeRecord[] = [seeing(targets)],
): unknown {
  const placement = placeVolume(wanted, targets, nodes);
  expect(placement.candidates).toEqual([]);
  const { code, message } = noPlace(wanted, placement, nodes);
  return { code, message };
}

describe('placeVolume()', () => {
  test('takes the smallest target that is large enough, and of equal ones the one with the lowest address', () => {
    const targets = [sized('e2.0', 4096), sized('e10.1', 100), sized('e2.1', 100), sized('e1.0', 99)];
    const { candidates } = placeVolume(request(100 * GI), targets, [seeing(targets)]);
    expect(candidates.map(({ target }) => target.address)).toEqual(['e2.1', 'e10.1', 'e2.0']);
  });

  test('does not put 100 GiB on a target of 4 TiB when maxWaste says no', () => {
    const targets = [sized('e1.0', 4096), sized('e1.1', 201), sized('e1.2', 200)];
    const { candidates, rejected } = placeVolume(request(100 * GI, { maxWaste: '50%' }), targets, [seeing(targets)]);
    expect(candidates.map(({ target }) => target.address)).toEqual(['e1.2']);
    expect([...rejected]).toEqual([['waste', 2]]);
  });

  test('takes no target that a static volume or a task has in use though it is Available', () => {
    const publications = [{ nodeId: 'n', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 1 }];
    const task = { kind: 'fence', id: '1', nodeId: 'n', state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 } as const;
    const targets = [
      sized('e1.0', 10, { publications }),
      sized('e1.1', 10, { task }),
      sized('e1.2', 10, { claim: claimRecord() }),
    ];
    expect([...placeVolume(request(GI), targets, [seeing(targets)]).rejected]).toEqual([['taken', 3]]);
  });

  test('takes what the node sees that a place is about, not one that is on another storage network, too', () => {
    const [onA, onB] = [sized('e1.0', 20), sized('e2.0', 10)];
    const [a, both, b] = [{ a: 'true' }, { a: 'true', b: 'true' }, { b: 'true' }];
    const nodes = [
      nodeRecord('1', ['e1.0'], { segments: a }),
      nodeRecord('2', ['e1.0', 'e2.0'], { segments: both }),
      nodeRecord('3', ['e2.0'], { segments: b }),
    ];
    const placed = (requisite: readonly object[], preferred: readonly object[] = [], live = nodes) => {
      const topology = { requisite, preferred } as PlacementRequest['topology'];
      return placeVolume(request(GI, {}, topology), [onA, onB], live).candidates.map(({ target }) => target.address);
    };
    expect(placed([a])).toEqual(['e1.0']);
    expect(placed([both])).toEqual(['e2.0', 'e1.0']);
    expect(placed([a, both, b], [a, both, b])).toEqual(['e1.0', 'e2.0']);
    // What nodes have in common is no node's place.
    expect(placed([a], [], nodes.slice(1))).toEqual(['e2.0', 'e1.0']);
  });

  test('looks through four thousand targets that a hundred nodes see in reasonable time', () => {
    const targets = Array.from({ length: 4_000 }, (_, index) => sized(`e${index}.1`, 1 + (index % 100)));
    const all = seeing(targets);
    const nodes = Array.from({ length: 100 }, (_, index) => ({ ...all, nodeId: `node-${index}` }));
    const startMs = performance.now();
    for (let volume = 0; volume < 10; volume++) placeVolume(request(GI), targets, nodes);
    expect((performance.now() - startMs) / 10).toBeLessThan(patiently(500));
  });
});

describe('noPlace()', () => {
  test('says how many targets failed which test, in the order of the tests', () => {
    const targets = [
      sized('e1.0', 1),
      sized('e1.1', 2),
      sized('e2.0', 100),
      sized('e1.2', 100, { state: 'Claimed', claim: claimRecord() }),
      sized('e1.3', 100, { state: 'Foreign' }),
      sized('e1.4', 100, { state: 'Missing' }),
      sized('e1.5', 100, { fencing: 'none' }),
      sized('e1.6', 100),
    ];
    expect(errorFor(request(10 * GI, { shelves: '1' }), targets, [seeing(targets.slice(0, -1))])).toEqual({
      code: 'resource-exhausted',
      message:
        'cannot place a volume of 10Gi: of 8 targets 1 is on other shelves, 2 are too small, 1 is without the fencing level demanded, ' +
        '1 is claimed by somebody else, 1 is taken, or not wiped yet, 2 are not seen by any live node; free or add a target, or change the class',
    });
  });

  test('is out-of-range when no target has such a size, whether free or not', () => {
    const targets = [sized('e1.0', 1), sized('e1.1', 4096, { state: 'Claimed', claim: claimRecord() })];
    expect(errorFor(request(100 * GI, { maxWaste: '50%' }), targets)).toMatchObject({
      code: 'out-of-range',
      message: expect.stringContaining('of 2 targets 1 is too small, 1 is larger than maxWaste allows'),
    });
    expect(errorFor(request(100 * GI), targets)).toMatchObject({ code: 'resource-exhausted' });
  });

  test('is resource-exhausted when the class allows no target at all, so that its sizes do not matter', () => {
    expect(errorFor(request(GI, { shelves: '9' }), [sized('e1.0', 10)])).toMatchObject({ code: 'resource-exhausted' });
  });

  test('is unavailable when no node is alive, and says what to look at when nothing is known', () => {
    expect(errorFor(request(GI), [sized('e1.0', 10)], [])).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no node plugin'),
    });
    expect(errorFor(request(0), [], [nodeRecord('n', [])])).toEqual({
      code: 'resource-exhausted',
      message:
        'cannot place a volume of any size: no target is known; check that targets answer `aoe-csi discover` on a node and that its ' +
        'interfaces are allowed',
    });
  });

  test('tells the wrong place from the wrong interface', () => {
    const targets = [sized('e1.0', 10)];
    const nodes = [nodeRecord('n', ['e1.0'], { segments: { san: 'a' } })];
    const elsewhere = { requisite: [{ san: 'b' }], preferred: [] };
    expect(errorFor(request(GI, {}, elsewhere), targets, nodes)).toMatchObject({
      message: expect.stringContaining('not seen from where'),
    });
    expect(errorFor(request(GI, { interfaces: 'san*,eth9' }), targets, nodes)).toEqual({
      code: 'resource-exhausted',
      message:
        'cannot place a volume of 1Gi: of 1 targets 1 is not seen through the interfaces allowed (the class allows san*,eth9; live ' +
        'nodes have eth1); free or add a target, or change the class',
    });
  });
});

test('freeCapacity() is the sum, the largest and the smallest that maxWaste allows', () => {
  const targets = [sized('e1.0', 100), sized('e1.1', 40), sized('e1.2', 400, { state: 'Foreign' })];
  const wanted = request(0, { maxWaste: '50%' });
  expect(freeCapacity(placeVolume(wanted, targets, [seeing(targets)]), wanted.settings.maxWaste)).toEqual({
    availableBytes: 140 * GI,
    maximumBytes: 100 * GI,
    minimumBytes: 20 * GI,
  });
  expect(freeCapacity(placeVolume(wanted, [], []), wanted.settings.maxWaste)).toEqual({
    availableBytes: 0,
    maximumBytes: 0,
    minimumBytes: 0,
  });
});
