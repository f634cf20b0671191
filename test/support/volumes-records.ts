import fc from 'fast-check';
import {
  FENCING_LEVELS,
  TARGET_STATES,
  type ClaimRecord,
  type NodeRecord,
  type SightRecord,
  type TargetRecord,
} from '../../src/volumes/records.ts';

export const GI = 2 ** 30;

/** A free target of 100 GiB. */
export function targetRecord(address: string, differences: Partial<TargetRecord> = {}): TargetRecord {
  return {
    address,
    state: 'Available',
    reason: '',
    identity: { serial: `serial of ${address}`, model: 'Disk', sizeBytes: 100 * GI },
    fencing: 'reserve',
    claim: undefined,
    publications: [],
    task: undefined,
    ...differences,
  };
}

export function claimRecord(differences: Partial<ClaimRecord> = {}): ClaimRecord {
  return {
    volumeName: 'pvc-1',
    claim: 'abcdefghijklmnopqrstuvwxyz',
    capacityBytes: 50 * GI,
    parameters: {},
    mutableParameters: {},
    confirmed: true,
    format: { state: 'never', fsType: '', uuid: '' },
    epoch: 0,
    labels: {},
    ...differences,
  };
}

/** How a node sees targetRecord(address). */
export function sightRecord(address: string, differences: Partial<SightRecord> = {}): SightRecord {
  const { identity, fencing } = targetRecord(address);
  return { identity, configString: '', interfaces: ['eth1'], fencing, ...differences };
}

/** A node that sees these targets. */
export function nodeRecord(nodeId: string, addresses: readonly string[], differences: Partial<NodeRecord> = {}): NodeRecord {
  return {
    nodeId,
    macs: ['02:00:00:00:00:01'],
    interfaces: ['eth1'],
    segments: {},
    volumesMax: 16,
    bootId: 'boot',
    targets: Object.fromEntries(addresses.map((address) => [address, sightRecord(address)])),
    staged: {},
    aliveAtMs: 0,
    ...differences,
  };
}

/** A handful of shelves and slots, so that things meet. */
export const addresses = fc
  .tuple(fc.constantFrom(0, 1, 2, 10, 65_534), fc.constantFrom(0, 1, 3, 254))
  .map(([shelf, slot]) => `e${shelf}.${slot}`);

const sizes = fc.constantFrom(0, 512, GI, 10 * GI, 10 * GI + 512, 100 * GI);

/** Targets with different addresses, in all states. */
export const targetLists: fc.Arbitrary<TargetRecord[]> = fc.uniqueArray(
  fc
    .record({
      address: addresses,
      state: fc.oneof({ weight: 3, arbitrary: fc.constant('Available' as const) }, fc.constantFrom(...TARGET_STATES)),
      sizeBytes: sizes,
      fencing: fc.constantFrom(...FENCING_LEVELS),
      isPublished: fc.boolean(),
    })
    .map(({ address, state, sizeBytes, fencing, isPublished }) =>
      targetRecord(address, {
        state,
        identity: { serial: 's', model: 'm', sizeBytes },
        fencing,
        claim: state === 'Claimed' ? claimRecord() : undefined,
        publications: isPublished && state === 'Claimed' ? [{ nodeId: 'n', readOnly: false, accessMode: 'X', epoch: 1 }] : [],
      }),
    ),
  { selector: ({ address }) => address, maxLength: 12 },
);

const segments = fc.dictionary(fc.constantFrom('rack', 'san'), fc.constantFrom('a', 'b'), { maxKeys: 2 });

/** Nodes in some places that see some targets through some interfaces. */
export const nodeLists: fc.Arbitrary<NodeRecord[]> = fc
  .array(fc.tuple(segments, fc.dictionary(addresses, fc.subarray(['eth1', 'eth2', 'san0'], { minLength: 1 }))), { maxLength: 4 })
  .map((nodes) =>
    nodes.map(([where, sights], index) => {
      const targets = Object.entries(sights).map(
        ([address, interfaces]) => [address, sightRecord(address, { interfaces })] as const,
      );
      return nodeRecord(`node-${index}`, [], { segments: where, targets: Object.fromEntries(targets) });
    }),
  );

/** Lists of topology terms. */
export const termLists = fc.array(segments, { maxLength: 3 });
