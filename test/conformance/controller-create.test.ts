import { describe, expect, test } from '@jest/globals';
import { claimOf } from '../../src/volumes/claim.ts';
import type { TargetRecord } from '../../src/volumes/records.ts';
import { change } from '../../src/volumes/store.ts';
import { CLUSTER_ID, NODE_SIZE_BYTES } from '../support/controller-node.ts';
import { withController, WRITER } from '../support/controller-service.ts';
import { hookedStore } from '../support/store-hooks.ts';
import { claimRecord } from '../support/volumes-records.ts';

const MIB = 2 ** 20;
const CAPABILITIES = [WRITER];

/** Every code that docs/csi.md has for CreateVolume: one call for each, or more where one code has several reasons. */
describe('CreateVolume', () => {
  test('answers with the same volume when called again, and with ALREADY_EXISTS when something else is asked for', async () => {
    await withController(3, async ({ client }) => {
      const range = { requiredBytes: 100 * MIB, limitBytes: 0 };
      const id = await client.create('a', { capacityRange: range, parameters: { wipe: 'none' } });
      expect(await client.create('a', { capacityRange: range, parameters: { wipe: 'none' } })).toBe(id);
      expect(
        await client.create('a', { capacityRange: { requiredBytes: 50 * MIB, limitBytes: 0 }, parameters: { wipe: 'none' } }),
      ).toBe(id);
      const larger = { name: 'a', volumeCapabilities: CAPABILITIES, capacityRange: { requiredBytes: 200 * MIB } };
      expect(await client.outcome('CreateVolume', { ...larger, parameters: { wipe: 'none' } })).toMatch(
        /^ALREADY_EXISTS: .*100Mi/,
      );
      const other = { name: 'a', volumeCapabilities: CAPABILITIES, capacityRange: range, parameters: { wipe: 'zero' } };
      expect(await client.outcome('CreateVolume', other)).toMatch(/^ALREADY_EXISTS: .*wipe 'none', not 'zero'/);
    });
  });

  test('takes a parameter for its default that is missing in the record, made by a version that did not know it', async () => {
    await withController(1, async ({ client, lab }) => {
      const volumeId = await client.create('a');
      await change(lab.store.targets, 'e1.0', (target) => {
        const { maxWaste: _maxWaste, ...parameters } = target.claim!.parameters;
        return { ...target, claim: { ...target.claim!, parameters } };
      });
      expect(await client.create('a')).toBe(volumeId);
      const asked = { volumeId, volumeCapabilities: CAPABILITIES, parameters: { maxWaste: '100%' } };
      expect((await client.call('ValidateVolumeCapabilities', asked)).confirmed).not.toBeNull();
      const other = { name: 'a', volumeCapabilities: CAPABILITIES, parameters: { maxWaste: '50%' } };
      expect(await client.outcome('CreateVolume', other)).toMatch(/^ALREADY_EXISTS: .*maxWaste '100%', not '50%'/);
    });
  });

  test('answers with INVALID_ARGUMENT before it looks anything up', async () => {
    await withController(0, async ({ client }) => {
      const base = { name: 'a', volumeCapabilities: CAPABILITIES };
      const wrong = [
        { name: 'a' },
        { volumeCapabilities: CAPABILITIES },
        { ...base, parameters: { colour: 'red' } },
        { ...base, mutableParameters: { wipe: 'zero' } },
        { ...base, mutableParameters: { deadSeconds: 'soon' } },
        { ...base, volumeContentSource: { snapshot: { snapshotId: 's' } } },
        { ...base, capacityRange: {} },
        { ...base, volumeCapabilities: [{ accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' }, mount: {} }] },
        { ...base, volumeCapabilities: [{ accessMode: { mode: 'SINGLE_NODE_WRITER' }, mount: { fsType: 'ntfs' } }] },
      ] as const;
      for (const request of wrong) expect(await client.outcome('CreateVolume', request)).toMatch(/^INVALID_ARGUMENT: /);
    });
  });

  test('answers with OUT_OF_RANGE, RESOURCE_EXHAUSTED or UNAVAILABLE when there is no place', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const sized = (name: string, requiredBytes: number, limitBytes = 0) => ({
        name,
        volumeCapabilities: CAPABILITIES,
        capacityRange: { requiredBytes, limitBytes },
      });
      expect(await client.outcome('CreateVolume', sized('a', 2 * MIB, MIB))).toMatch(/^OUT_OF_RANGE: /);
      expect(await client.outcome('CreateVolume', sized('a', 2 * NODE_SIZE_BYTES))).toMatch(/^OUT_OF_RANGE: .*too small/);
      // All that int64 has: what can't be counted exactly is larger than any disk, and no limit.
      for (const huge of ['9007199254740993', '9223372036854775807']) {
        expect(await client.outcome('CreateVolume', sized('a', huge as never))).toMatch(/^OUT_OF_RANGE: .*no disk/);
        const unlimited = sized('huge', MIB, huge as never);
        expect(await client.outcome('CreateVolume', unlimited)).toMatch(/^OK|^RESOURCE_EXHAUSTED/);
      }
      expect(await client.outcome('CreateVolume', sized('a', '-9223372036854775808' as never))).toMatch(/^INVALID_ARGUMENT: /);
      await client.call('DeleteVolume', { volumeId: (await client.volumeIds())[0] });
      await lab.free(client, 1);
      await client.create('a');
      expect(await client.outcome('CreateVolume', sized('b', MIB))).toMatch(/^RESOURCE_EXHAUSTED: .*1 is taken/);
      await node.fallSilent();
      expect(await client.outcome('CreateVolume', sized('b', MIB))).toMatch(/^UNAVAILABLE: .*no node plugin is alive/);
    });
  });

  test('goes on to another target when the first one is somebody else’s', async () => {
    await withController(2, async ({ client, node, lab }) => {
      // Nobody has reported this yet: it is found out when the target is claimed.
      node.strings.set('e1.0', 'someone else');
      expect(await client.create('a')).toMatch(/^e1\.1@/);
      expect((await lab.store.targets.get('e1.0'))?.value.state).toBe('Foreign');
    });
  });

  test('answers with UNAVAILABLE and the node’s words when the node can’t claim, and succeeds when it can again', async () => {
    await withController(1, async ({ client, node }) => {
      node.failures.set('claim', 'the target does not keep config strings');
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      expect(await client.outcome('CreateVolume', request)).toMatch(/^UNAVAILABLE: .*does not keep config strings; call again$/);
      node.failures.clear();
      expect(await client.create('a')).toMatch(/^e1\.0@/);
    });
  });

  test('gives a target up that can’t be claimed when another one can, and leaves its data alone', async () => {
    await withController(2, async ({ client, node, lab }) => {
      node.failures.set('claim e1.0', 'no target answers at this address');
      expect(await client.outcome('CreateVolume', { name: 'a', volumeCapabilities: CAPABILITIES })).toMatch(
        /^UNAVAILABLE: .*no target answers/,
      );
      node.held.add('wipe');
      expect(await client.create('a')).toMatch(/^e1\.1@/);
      // Whatever is on it was there before: only the claim is to be taken off, should it have got there.
      const { state, claim } = (await lab.store.targets.get('e1.0'))!.value;
      expect([state, claim?.parameters['wipe']]).toEqual(['Released', 'none']);
      node.held.clear();
      node.look();
      await lab.free(client, 1);
    });
  });

  test('takes another target, or says of all what is wrong with them, when nobody sees the first one any more', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      node.failures.set('claim', 'no target answers at this address');
      expect(await client.outcome('CreateVolume', request)).toMatch(/^UNAVAILABLE: .*no target answers/);
      await node.setSeen('e1.0', false);
      expect(await client.outcome('CreateVolume', request)).toMatch(
        /^RESOURCE_EXHAUSTED: .*of 1 targets 1 is taken, or not wiped/,
      );
      node.failures.clear();
      await lab.node({ nodeId: 'node-2', addresses: ['e1.1'] });
      await lab.settled(({ state }) => state === 'Available', 'e1.1');
      expect(await client.create('a')).toMatch(/^e1\.1@/);
      // The claim may have got there: it is taken off as soon as somebody sees it.
      await node.setSeen('e1.0', true);
      await lab.settled(({ state }) => state === 'Available', 'e1.0');
      expect(node.done).toContain('wipe e1.0');
    });
  });

  test('answers with UNAVAILABLE, and takes the target once, when all nodes that see it are declared to be off', async () => {
    await withController(1, async ({ lab }) => {
      let writes = 0;
      const before = async (): Promise<void> => Promise.resolve(void writes++);
      const off = new Set(['node-1']);
      const isOutOfService = async (nodeId: string): Promise<boolean> => Promise.resolve(off.has(nodeId));
      const informed = await lab.controller({ ...hookedStore(lab.store, { before }), isOutOfService });
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      expect(await informed.outcome('CreateVolume', request)).toMatch(/^UNAVAILABLE: .*out of service/);
      expect(writes).toBe(1);
      off.clear();
      expect(await informed.create('a')).toMatch(/^e1\.0@/);
    });
  });

  test('gives a target back at once that was taken in its record only, and is seen no more', async () => {
    await withController(1, async ({ client, node, lab }) => {
      await node.setSeen('e1.0', false);
      await change(lab.store.targets, 'e1.0', (target): TargetRecord => ({
        ...target,
        state: 'Claimed',
        claim: claimRecord({ volumeName: 'a', claim: claimOf(CLUSTER_ID, 'a'), confirmed: false }),
      }));
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      expect(await client.outcome('CreateVolume', request)).toMatch(/^RESOURCE_EXHAUSTED: .*of 1 targets 1 is not seen/);
      expect((await lab.store.targets.get('e1.0'))?.value.claim).toBeUndefined();
    });
  });

  test('answers with ABORTED while the same call is under way, and goes on where a call whose deadline has passed stopped', async () => {
    await withController(2, async ({ client, node, lab }) => {
      node.held.add('claim');
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      const first = client.outcome('CreateVolume', request, 3_000);
      await lab.settled(({ task }) => task?.kind === 'claim', 'e1.0');
      expect(await client.outcome('CreateVolume', request)).toMatch(/^ABORTED: /);
      expect(await first).toMatch(/^(ABORTED|DEADLINE_EXCEEDED): /);
      node.held.clear();
      node.look();
      const id = await client.create('a');
      expect(await client.volumeIds()).toEqual([id]);
    });
  });

  test('answers with UNAVAILABLE while no live node sees the target and so nobody knows from where it can be reached', async () => {
    await withController(0, async ({ client, lab }) => {
      const options = { addresses: ['e2.0'], segments: { san: 'a' } };
      const node = await lab.node({ nodeId: 'node-8', ...options });
      await lab.free(client, 1);
      node.held.add('claim');
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      expect(await client.outcome('CreateVolume', request, 1_000)).toMatch(/^(ABORTED|DEADLINE_EXCEEDED): /);
      node.held.clear();
      node.look();
      await lab.settled(({ claim }) => claim?.confirmed === true, 'e2.0');
      await node.fallSilent();
      expect(await client.outcome('CreateVolume', request)).toMatch(
        /^UNAVAILABLE: .*volume a .* on e2\.0, and no live node sees that; bring the target/,
      );
      await lab.node({ nodeId: 'node-9', ...options });
      expect((await client.call('CreateVolume', request)).volume).toMatchObject({
        accessibleTopology: [{ segments: options.segments }],
      });
    });
  });

  test('answers without a topology where no node has a place', async () => {
    await withController(1, async ({ client, node }) => {
      await client.create('a');
      await node.fallSilent();
      const request = { name: 'a', volumeCapabilities: CAPABILITIES };
      expect((await client.call('CreateVolume', request)).volume).toMatchObject({ accessibleTopology: [] });
      const accessibilityRequirements = { requisite: [{ segments: { san: 'a' } }] };
      expect(await client.outcome('CreateVolume', { ...request, accessibilityRequirements })).toMatch(/^UNAVAILABLE: /);
    });
  });

  test('takes names of 128 bytes, and names in any script', async () => {
    await withController(3, async ({ client, lab }) => {
      const names = ['x'.repeat(128), 'ボリューム-😀', 'a/b c'];
      const ids = await Promise.all(names.map(async (name) => client.create(name)));
      expect(new Set(ids).size).toBe(3);
      const kept = (await lab.store.targets.list()).map(({ value }) => value.claim?.volumeName);
      expect(new Set(kept)).toEqual(new Set(names));
      expect(await client.outcome('CreateVolume', { name: 'é'.repeat(65), volumeCapabilities: CAPABILITIES })).toMatch(
        /^INVALID_ARGUMENT: /,
      );
    });
  });
});
