import { describe, expect, test } from '@jest/globals';
import { change } from '../../src/volumes/store.ts';
import { NODE_SIZE_BYTES } from '../support/controller-node.ts';
import { withController, READERS, WRITER, type Method } from '../support/controller-service.ts';

const MIB = 2 ** 20;
const CAPABILITIES = [WRITER];

/** Every code of docs/csi.md, but those of CreateVolume (controller-create): one call for each, or more where one code has several reasons. */
describe('DeleteVolume', () => {
  test('is done already for ids that no volume has, and refuses while the volume is published', async () => {
    await withController(1, async ({ client, lab, node }) => {
      for (const volumeId of ['fake', 'e1.0', 'e9.9@aaaaaaaaaaaaaaaaaaaaaaaaaa', 'e1.0@aaaaaaaaaaaaaaaaaaaaaaaaaa']) {
        expect(await client.outcome('DeleteVolume', { volumeId })).toBe('OK');
      }
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      expect(await client.outcome('DeleteVolume', { volumeId })).toMatch(/^FAILED_PRECONDITION: .*node-1/);
      await client.call('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
      expect(await client.outcome('DeleteVolume', { volumeId })).toBe('OK');
      expect(await client.outcome('DeleteVolume', { volumeId })).toBe('OK');
      await lab.free(client, 1);
      expect(node.done).toEqual(['claim e1.0', 'wipe e1.0']);
    });
  });

  test('leaves the next volume in the same slot alone when it comes late', async () => {
    await withController(1, async ({ client, lab }) => {
      const old = await client.create('a');
      await client.call('DeleteVolume', { volumeId: old });
      await lab.free(client, 1);
      const next = await client.create('b');
      expect(await client.outcome('DeleteVolume', { volumeId: old })).toBe('OK');
      expect(await client.volumeIds()).toEqual([next]);
      const stale = { volumeId: old, nodeId: 'node-1', volumeCapability: WRITER };
      expect(await client.outcome('ControllerPublishVolume', stale)).toMatch(/^NOT_FOUND: /);
    });
  });

  test('lets a volume of the same name in the same slot have newer epochs', async () => {
    await withController(1, async ({ client, lab }) => {
      const publishAnew = async (): Promise<number> => {
        const volumeId = await client.create('a');
        const { epoch } = await client.publish(volumeId, 'node-1');
        await client.call('ControllerUnpublishVolume', { volumeId, nodeId: '' });
        await client.call('DeleteVolume', { volumeId });
        await lab.free(client, 1);
        return Number(epoch);
      };
      const first = await publishAnew();
      expect(await publishAnew()).toBeGreaterThan(first);
    });
  });
});

describe('ControllerPublishVolume', () => {
  test('answers with NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION and RESOURCE_EXHAUSTED for what they stand for', async () => {
    await withController(3, async ({ client, lab }) => {
      await lab.node({ nodeId: 'node-2', addresses: ['e1.0', 'e1.1', 'e1.2'], volumesMax: 1 });
      const [a, b] = [await client.create('a'), await client.create('b')];
      const publish = async (volumeId: string, nodeId: string, more: object = {}): Promise<string> =>
        client.outcome('ControllerPublishVolume', { volumeId, nodeId, volumeCapability: WRITER, ...more });
      expect(await publish('e9.9@aaaaaaaaaaaaaaaaaaaaaaaaaa', 'node-1')).toMatch(/^NOT_FOUND: there is no volume/);
      expect(await publish('nonsense', 'node-1')).toMatch(/^NOT_FOUND: /);
      expect(await publish(a, 'nowhere')).toMatch(/^NOT_FOUND: there is no node nowhere/);
      const context = await client.publish(a, 'node-1');
      expect(await client.publish(a, 'node-1')).toEqual(context);
      expect(context).toMatchObject({ target: 'e1.0', serial: 'S-e1.0', model: 'Scripted', sizeBytes: String(NODE_SIZE_BYTES) });
      expect(await publish(a, 'node-1', { readonly: true })).toMatch(/^ALREADY_EXISTS: .*read-only/);
      expect(await publish(a, 'node-2')).toMatch(/^FAILED_PRECONDITION: .*published to node-1 as SINGLE_NODE_WRITER/);
      expect(await publish(b, 'node-2')).toBe('OK');
      expect(await publish(await client.create('c'), 'node-2')).toMatch(/^RESOURCE_EXHAUSTED: .*1 are its limit/);
      expect(await publish(b, 'node-2')).toBe('OK');
      const bad = { volumeCapability: { accessMode: { mode: 'MULTI_NODE_SINGLE_WRITER' }, mount: {} } };
      expect(await publish(b, 'node-2', bad)).toMatch(/^INVALID_ARGUMENT: /);
    });
  });

  test('lets many nodes read, and none of them beside a writer', async () => {
    await withController(1, async ({ client, lab }) => {
      await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      await lab.node({ nodeId: 'node-3', addresses: ['e1.0'] });
      const volumeId = await client.create('a', { volumeCapabilities: [READERS] });
      for (const nodeId of ['node-1', 'node-2']) {
        expect(await client.outcome('ControllerPublishVolume', { volumeId, nodeId, volumeCapability: READERS })).toBe('OK');
      }
      const writer = { volumeId, nodeId: 'node-3', volumeCapability: WRITER };
      expect(await client.outcome('ControllerPublishVolume', writer)).toMatch(/^FAILED_PRECONDITION: .*node-1 .*node-2/);
      const { entries } = await client.call('ListVolumes', {});
      expect(entries[0]?.status?.publishedNodeIds).toEqual(['node-1', 'node-2']);
      expect(await client.outcome('ControllerUnpublishVolume', { volumeId, nodeId: '' })).toBe('OK');
      expect(await client.outcome('ControllerPublishVolume', writer)).toBe('OK');
    });
  });

  test('publishes a static volume, checks its attributes, and lets nobody place a volume on it meanwhile', async () => {
    await withController(1, async ({ client }) => {
      const base = { volumeId: 'e1.0', nodeId: 'node-1', volumeCapability: WRITER };
      expect(await client.outcome('ControllerPublishVolume', { ...base, volumeContext: { wipe: 'zero' } })).toMatch(
        /^INVALID_ARGUMENT: /,
      );
      const volumeContext = { deadSeconds: '5', 'storage.kubernetes.io/csiProvisionerIdentity': 'x' };
      expect(await client.outcome('ControllerPublishVolume', { ...base, volumeContext })).toBe('OK');
      expect(await client.volumeIds()).toEqual(['e1.0']);
      expect(await client.outcome('CreateVolume', { name: 'a', volumeCapabilities: CAPABILITIES })).toMatch(
        /^RESOURCE_EXHAUSTED: /,
      );
      expect(
        await client.outcome('ControllerModifyVolume', { volumeId: 'e1.0', mutableParameters: { deadSeconds: '9' } }),
      ).toMatch(/^FAILED_PRECONDITION: .*static/);
      expect(await client.outcome('ControllerUnpublishVolume', { volumeId: 'e1.0', nodeId: 'node-1' })).toBe('OK');
      expect(await client.volumeIds()).toEqual([]);
    });
  });
});

describe('a volume whose record somebody has edited so that it means nothing', () => {
  test('is listed with what is known of it, and keeps nothing from the others', async () => {
    await withController(2, async ({ lab, client }) => {
      const [edited, whole] = [await client.create('a'), await client.create('b')];
      const [address] = edited.split('@');
      await change(lab.store.targets, address, (target) => ({
        ...target,
        claim: target.claim && { ...target.claim, mutableParameters: { deadSeconds: 'soon' } },
      }));
      expect((await client.volumeIds()).toSorted()).toEqual([edited, whole].toSorted());
      const { entries } = await client.call('ControllerListVolumeHealth', {});
      expect(entries).toMatchObject([{ volumeId: edited, healthStatuses: [{ status: 'INACCESSIBLE', reason: 'RecordEdited' }] }]);
      expect(await client.outcome('ControllerGetVolume', { volumeId: edited })).toMatch(/^INTERNAL: .*deadSeconds 'soon'/);
    });
  });
});

describe('a static volume that claims its target', () => {
  test('keeps new volumes out, also when it is not published; one that does not claim may lose it, and is told so', async () => {
    await withController(2, async ({ lab, client }) => {
      const publish = (volumeId: string, volumeContext: Readonly<Record<string, string>>) =>
        client.outcome('ControllerPublishVolume', { volumeId, nodeId: 'node-1', volumeCapability: WRITER, volumeContext });
      for (const [address, claim] of [
        ['e1.0', 'yes'],
        ['e1.1', 'no'],
      ] as const) {
        expect(await publish(address, { claim })).toBe('OK');
        expect(await client.outcome('ControllerUnpublishVolume', { volumeId: address, nodeId: 'node-1' })).toBe('OK');
      }
      expect((await lab.store.targets.get('e1.0'))?.value).toMatchObject({ state: 'Static', publications: [] });
      expect(await client.create('a')).toMatch(/^e1\.1@/);
      expect(await client.outcome('CreateVolume', { name: 'b', volumeCapabilities: CAPABILITIES })).toMatch(
        /^RESOURCE_EXHAUSTED: /,
      );
      expect(await publish('e1.0', { claim: 'yes' })).toBe('OK');
      expect(await publish('e1.1', {})).toMatch(
        /^NOT_FOUND: there is no volume e1\.1: its target is not free for a static one: it is Claimed, with volume e1\.1@[a-z2-7]{26} \(a\)$/,
      );
      expect(await publish('e1.7', {})).toMatch(/^NOT_FOUND: there is no volume e1\.7: no node has ever seen a target/);
      expect(await publish('e1', {})).toMatch(/^NOT_FOUND: there is no volume e1: that is no id of ours/);
      expect(await publish('e1.0', { claim: 'maybe' })).toMatch(/^INVALID_ARGUMENT: /);
    });
  });
});

describe('ControllerUnpublishVolume', () => {
  test('refuses while a live node has the volume staged', async () => {
    await withController(1, async ({ client, node }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      const request = { volumeId, nodeId: 'node-1' };
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(
        /^FAILED_PRECONDITION: .*NodeUnstageVolume first/,
      );
      await node.unstage(volumeId);
      expect(await client.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect(await client.outcome('ControllerUnpublishVolume', request)).toBe('OK');
    });
  });

  test('has a silent node fenced off by another one, and refuses when there is none', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      await node.fallSilent();
      const request = { volumeId, nodeId: 'node-1' };
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(/^FAILED_PRECONDITION: .*no other live node/);
      const other = await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      other.failures.set('fence', 'the target is away');
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(/^UNAVAILABLE: .*the target is away/);
      other.failures.clear();
      expect(await client.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect((await lab.store.targets.get('e1.0'))?.value).toMatchObject({ publications: [], state: 'Claimed' });
      expect((await lab.store.targets.get('e1.0'))?.value.task).toBeUndefined();
      expect(await client.outcome('ControllerPublishVolume', { volumeId, nodeId: 'node-2', volumeCapability: WRITER })).toBe(
        'OK',
      );
    });
  });

  test('refuses for a silent node when the target can’t be told to refuse it', async () => {
    await withController(0, async ({ client, lab }) => {
      const node = await lab.node({ nodeId: 'node-8', addresses: ['e2.0'], fencing: 'claim' });
      await lab.node({ nodeId: 'node-9', addresses: ['e2.0'], fencing: 'claim' });
      await lab.free(client, 1);
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-8');
      await node.stage(volumeId);
      await node.fallSilent();
      const outcome = await client.outcome('ControllerUnpublishVolume', { volumeId, nodeId: 'node-8' });
      expect(outcome).toMatch(
        /^FAILED_PRECONDITION: .*fencing level claim.*remove its record \(kubectl delete aoenode \S+, in the driver's namespace/,
      );
    });
  });

  test('is done already for a volume or a node that is not there, and for a node that was fenced off', async () => {
    await withController(1, async ({ client, node }) => {
      expect(await client.outcome('ControllerUnpublishVolume', { volumeId: 'nonsense', nodeId: 'node-1' })).toBe('OK');
      const volumeId = await client.create('a');
      expect(await client.outcome('ControllerUnpublishVolume', { volumeId, nodeId: 'nowhere' })).toBe('OK');
      await client.publish(volumeId, 'node-1');
      await node.markFenced(volumeId);
      expect(await client.outcome('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' })).toBe('OK');
    });
  });
});

describe('ControllerExpandVolume', () => {
  test('remembers what was granted, and says what to do about a target that is too small', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a', { capacityRange: { requiredBytes: 100 * MIB } });
      const expand = async (requiredBytes: number, limitBytes = 0) =>
        client.call('ControllerExpandVolume', { volumeId, capacityRange: { requiredBytes, limitBytes } });
      const outcome = async (requiredBytes: number, limitBytes = 0, id = volumeId) =>
        client.outcome('ControllerExpandVolume', { volumeId: id, capacityRange: { requiredBytes, limitBytes } });
      expect(await expand(200 * MIB)).toEqual({ capacityBytes: 200 * MIB, nodeExpansionRequired: true });
      expect(await expand(200 * MIB)).toEqual({ capacityBytes: 200 * MIB, nodeExpansionRequired: true });
      expect((await client.call('ControllerGetVolume', { volumeId })).volume?.capacityBytes).toBe(200 * MIB);
      expect(await outcome(0, 100 * MIB)).toMatch(/^OUT_OF_RANGE: .*never shrink/);
      expect(await outcome(2 * NODE_SIZE_BYTES)).toMatch(/^OUT_OF_RANGE: .*grow the disk/);
      await node.resize('e1.0', 2 * NODE_SIZE_BYTES);
      await lab.settled(({ identity }) => identity.sizeBytes === 2 * NODE_SIZE_BYTES, 'e1.0');
      expect(await expand(2 * NODE_SIZE_BYTES)).toMatchObject({ capacityBytes: 2 * NODE_SIZE_BYTES });
      expect(await outcome(MIB, 0, 'e9.9')).toMatch(/^NOT_FOUND: /);
      expect(await client.outcome('ControllerExpandVolume', { volumeId })).toMatch(/^INVALID_ARGUMENT: /);
    });
  });
});

describe('ControllerModifyVolume', () => {
  test('applies all that it is given, or nothing', async () => {
    await withController(1, async ({ client, lab }) => {
      const volumeId = await client.create('a', { mutableParameters: { deadSeconds: '5' } });
      const modify = async (mutableParameters: Readonly<Record<string, string>>) =>
        client.outcome('ControllerModifyVolume', { volumeId, mutableParameters });
      expect(await modify({ maxOutstanding: '16' })).toBe('OK');
      expect(await modify({ maxOutstanding: '16' })).toBe('OK');
      for (const wrong of [
        { maxOutstanding: '8', colour: 'red' },
        { maxOutstanding: '8', wipe: 'zero' },
        { maxOutstanding: 'many' },
        {},
      ]) {
        expect(await modify(wrong as Readonly<Record<string, string>>)).toMatch(/^INVALID_ARGUMENT: /);
      }
      const { claim } = (await lab.store.targets.get('e1.0'))!.value;
      expect(claim?.mutableParameters).toEqual({ deadSeconds: '5', maxOutstanding: '16' });
      expect(
        await client.outcome('ControllerModifyVolume', { volumeId: 'e7.7', mutableParameters: { deadSeconds: '5' } }),
      ).toMatch(/^NOT_FOUND: /);
    });
  });
});

describe('ControllerModifyVolume of a volume in use', () => {
  test('refuses interfaces that its node has not, and names both lists', async () => {
    await withController(1, async ({ client, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      const modify = async (interfaces: string) =>
        client.outcome('ControllerModifyVolume', { volumeId, mutableParameters: { interfaces, deadSeconds: '9' } });
      expect(await modify('san*')).toMatch(/^INVALID_ARGUMENT: .*would allow san\*, and node node-1, .* has eth1; let them/);
      expect((await lab.store.targets.get('e1.0'))?.value.claim?.mutableParameters).toEqual({});
      expect(await modify('eth*')).toBe('OK');
      expect(await modify('')).toBe('OK');
    });
  });
});

describe('ValidateVolumeCapabilities', () => {
  test('confirms what the volume is, and says what it is not', async () => {
    await withController(1, async ({ client }) => {
      const volumeId = await client.create('a', { parameters: { wipe: 'none' } });
      const validate = async (more: object) =>
        client.call('ValidateVolumeCapabilities', { volumeId, volumeCapabilities: CAPABILITIES, ...more });
      expect((await validate({ parameters: { wipe: 'none' } })).confirmed).toMatchObject({ parameters: { wipe: 'none' } });
      expect(await validate({ parameters: { wipe: 'zero' } })).toMatchObject({
        confirmed: null,
        message: expect.stringContaining("wipe 'none'"),
      });
      const many = { volumeCapabilities: [{ accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' }, block: {} }] };
      expect(await validate(many)).toMatchObject({
        confirmed: null,
        message: expect.stringContaining('MULTI_NODE_MULTI_WRITER'),
      });
      const lost = { volumeId: 'e5.5', volumeCapabilities: CAPABILITIES };
      expect(await client.outcome('ValidateVolumeCapabilities', lost)).toMatch(/^NOT_FOUND: /);
    });
  });
});

describe('GetCapacity', () => {
  test('counts for a place what its own nodes see, not what one does that is in another place, too', async () => {
    await withController(0, async ({ client, lab }) => {
      await lab.node({ nodeId: 'node-8', addresses: ['e1.0'], segments: { a: 'true' } });
      await lab.node({ nodeId: 'node-9', addresses: ['e1.0', 'e1.1'], segments: { a: 'true', b: 'true' } });
      await lab.free(client, 2);
      const free = async (segments: Readonly<Record<string, string>>) =>
        (await client.call('GetCapacity', { accessibleTopology: { segments } })).availableCapacity;
      expect(await free({ a: 'true' })).toBe(NODE_SIZE_BYTES);
      expect(await free({ a: 'true', b: 'true' })).toBe(2 * NODE_SIZE_BYTES);
    });
  });

  test('counts what is free, and names the largest and the smallest volume', async () => {
    await withController(2, async ({ client, lab }) => {
      await lab.node({ nodeId: 'node-2', addresses: ['e2.0'], sizeBytes: 4 * NODE_SIZE_BYTES, segments: { rack: 'b' } });
      await lab.free(client, 3);
      expect(await client.call('GetCapacity', { parameters: { maxWaste: '50%' } })).toEqual({
        availableCapacity: 6 * NODE_SIZE_BYTES,
        maximumVolumeSize: { value: 4 * NODE_SIZE_BYTES },
        minimumVolumeSize: { value: NODE_SIZE_BYTES / 2 },
      });
      const there = await client.call('GetCapacity', { accessibleTopology: { segments: { rack: 'b' } } });
      expect(there.availableCapacity).toBe(4 * NODE_SIZE_BYTES);
      expect(await client.outcome('GetCapacity', { parameters: { colour: 'red' } })).toMatch(/^INVALID_ARGUMENT: /);
    });
  });
});

describe('Controller', () => {
  test('refuses ids and messages that are too long without a look at them, and takes any text for an id that no volume has', async () => {
    await withController(0, async ({ client }) => {
      for (const volumeId of [
        'e1.0@',
        '@',
        'e01.0',
        'e1.0@ü',
        '../../etc/passwd',
        '\u202e\ud83d\ude00',
        '%00',
        'e1.0@__proto__',
      ]) {
        expect(await client.outcome('ControllerGetVolume', { volumeId })).toMatch(/^NOT_FOUND: /);
        expect(await client.outcome('DeleteVolume', { volumeId })).toBe('OK');
      }
      expect(await client.outcome('DeleteVolume', { volumeId: 'x'.repeat(129) })).toMatch(/^INVALID_ARGUMENT: .*129 bytes/);
      expect(await client.outcome('DeleteVolume', { volumeId: 'x'.repeat(10 * MIB) })).toMatch(/^RESOURCE_EXHAUSTED: /);
      const parameters = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`p${index}`, 'x'.repeat(40)]));
      expect(await client.outcome('CreateVolume', { name: 'a', volumeCapabilities: CAPABILITIES, parameters })).toMatch(
        /^INVALID_ARGUMENT: .*parameters has \d+ bytes/,
      );
    });
  });

  test('answers with UNIMPLEMENTED to what AoE has not', async () => {
    await withController(0, async ({ client }) => {
      for (const method of ['CreateSnapshot', 'DeleteSnapshot', 'ListSnapshots', 'GetSnapshot'] as readonly Method[]) {
        expect(await client.outcome(method, {})).toMatch(/^UNIMPLEMENTED: /);
      }
    });
  });

  test('knows of the health of volumes what nodes say', async () => {
    await withController(2, async ({ client, node, lab }) => {
      const [a, b] = [await client.create('a'), await client.create('b')];
      const reasons = async (volumeId: string): Promise<string[]> => {
        const { volumeHealth } = await client.call('ControllerGetVolumeHealth', { volumeId });
        return volumeHealth!.healthStatuses.map(({ status, reason }) => `${status} ${reason}`);
      };
      expect(await reasons(a)).toEqual([]);
      node.strings.set('e1.0', 'someone else');
      await node.report();
      expect(await reasons(a)).toEqual(['INACCESSIBLE ForeignClaim']);
      node.strings.delete('e1.0');
      await node.report();
      expect(await reasons(a)).toEqual(['DEGRADED ClaimMissing']);
      await node.resize('e1.1', 512);
      expect(await reasons(b)).toEqual(['DATA_LOSS DiskShrunk']);
      const { entries } = await client.call('ControllerListVolumeHealth', {});
      expect(entries.map(({ volumeId }) => volumeId)).toEqual([a, b]);
      await node.fallSilent();
      expect(await reasons(a)).toEqual(['UNKNOWN_VOLUME_HEALTH_TYPE NoNodeAlive']);
      await lab.node({ nodeId: 'node-2', addresses: [] });
      expect(await reasons(a)).toEqual(['INACCESSIBLE TargetNotSeen']);
      expect(await client.outcome('ControllerGetVolumeHealth', { volumeId: 'e4.4' })).toMatch(/^NOT_FOUND: /);
    });
  });
});
