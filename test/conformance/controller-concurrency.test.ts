import { describe, expect, test } from '@jest/globals';
import { withController, WRITER, type ControllerClient, type ControllerLaboratory } from '../support/controller-service.ts';

const MIB = 2 ** 20;
const CALLS = 100;

/** How many of the outcomes begin with each word. */
function tally(outcomes: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome.split(':')[0]] = (counts[outcome.split(':')[0]] ?? 0) + 1;
  return counts;
}

async function claimedTargets(lab: ControllerLaboratory): Promise<readonly string[]> {
  return (await lab.store.targets.list()).filter(({ value }) => value.state === 'Claimed').map(({ name }) => name);
}

describe('CreateVolume', () => {
  test('makes one volume of 100 identical calls at a time', async () => {
    await withController(4, async ({ client, lab }) => {
      const request = { name: 'same', volumeCapabilities: [WRITER] };
      const outcomes = await Promise.all(Array.from({ length: CALLS }, async () => client.outcome('CreateVolume', request)));
      const counts = tally(outcomes);
      expect((counts['OK'] ?? 0) + (counts['ABORTED'] ?? 0)).toBe(CALLS);
      expect(counts['OK']).toBeGreaterThan(0);
      expect(await client.create('same')).toMatch(/^e1\.0@/);
      expect(await claimedTargets(lab)).toEqual(['e1.0']);
    });
  });

  test('makes one volume of 100 conflicting calls to two controllers', async () => {
    await withController(8, async ({ client, lab }) => {
      const clients = [client, await lab.controller()];
      const ask = async (index: number): Promise<string> =>
        clients[index % 2].outcome('CreateVolume', {
          name: 'same',
          volumeCapabilities: [WRITER],
          capacityRange: { requiredBytes: (1 + (index % 5)) * MIB, limitBytes: (1 + (index % 5)) * MIB },
        });
      const counts = tally(await Promise.all(Array.from({ length: CALLS }, async (_, index) => ask(index))));
      expect((counts['OK'] ?? 0) + (counts['ABORTED'] ?? 0) + (counts['ALREADY_EXISTS'] ?? 0)).toBe(CALLS);
      // Called again and again, each size has its final answer; only one of them is that the volume is there.
      const settled = await Promise.all([0, 1, 2, 3, 4].map(async (index) => eventualOutcome(async () => ask(index))));
      expect(tally(settled)).toEqual({ OK: 1, ALREADY_EXISTS: 4 });
      expect(await claimedTargets(lab)).toHaveLength(1);
    });
  });

  test('gives each target to one volume when there are more volumes than targets', async () => {
    await withController(20, async ({ client, lab }) => {
      const clients = [client, await lab.controller()];
      const ask = async (index: number): Promise<string> =>
        eventualOutcome(async () =>
          clients[index % 2].outcome('CreateVolume', { name: `v${index}`, volumeCapabilities: [WRITER] }),
        );
      const counts = tally(await Promise.all(Array.from({ length: 30 }, async (_, index) => ask(index))));
      expect(counts).toEqual({ OK: 20, RESOURCE_EXHAUSTED: 10 });
      const ids = await client.volumeIds();
      expect(new Set(ids).size).toBe(20);
      const names = (await lab.store.targets.list()).map(({ value }) => value.claim?.volumeName);
      expect(new Set(names).size).toBe(20);
    });
  }, 60_000);

  test('answers with the same volume when two controllers are asked for it at the same time', async () => {
    await withController(24, async ({ client, lab }) => {
      const other = await lab.controller();
      for (let round = 0; round < 10; round++) {
        const [a, b] = await Promise.all([client.create(`v${round}`), other.create(`v${round}`)]);
        expect(a).toBe(b);
      }
      expect(await claimedTargets(lab)).toHaveLength(10);
    });
  }, 60_000);

  test('gives the target back that was taken for the same name, whoever is first', async () => {
    await withController(3, async ({ client, lab, node }) => {
      // As two controllers leave it that have both taken a target and were both killed then.
      node.held.add('claim');
      await client.outcome('CreateVolume', { name: 'a', volumeCapabilities: [WRITER] }, 1_000);
      const taken = (await lab.store.targets.get('e1.0'))!;
      const second = (await lab.store.targets.get('e1.1'))!;
      await lab.store.targets.update('e1.0', taken.version, { ...taken.value, task: undefined });
      await lab.store.targets.update('e1.1', second.version, { ...second.value, state: 'Claimed', claim: taken.value.claim });
      node.held.clear();
      expect(await client.create('a')).toMatch(/^e1\.0@/);
      expect((await lab.store.targets.get('e1.1'))?.value).toMatchObject({ state: 'Available' });
    });
  });
});

describe('ControllerPublishVolume', () => {
  test('lets one of two nodes have a volume when both want it from two controllers', async () => {
    await withController(1, async ({ client, lab }) => {
      await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      const clients = [client, await lab.controller()];
      const volumeId = await client.create('a');
      for (let round = 0; round < 10; round++) {
        const publish = async (via: ControllerClient, nodeId: string): Promise<string> =>
          via.outcome('ControllerPublishVolume', { volumeId, nodeId, volumeCapability: WRITER });
        const outcomes = await Promise.all([publish(clients[round % 2], 'node-1'), publish(clients[(round + 1) % 2], 'node-2')]);
        expect(tally(outcomes)).toEqual({ OK: 1, FAILED_PRECONDITION: 1 });
        await client.call('ControllerUnpublishVolume', { volumeId, nodeId: '' });
      }
    });
  }, 60_000);

  test('keeps to a node’s limit when many volumes are published to it at a time', async () => {
    await withController(0, async ({ client, lab }) => {
      const addresses = Array.from({ length: 6 }, (_, slot) => `e3.${slot}`);
      await lab.node({ nodeId: 'small', addresses, volumesMax: 4 });
      await lab.free(client, 6);
      const ids: string[] = [];
      for (let index = 0; index < 6; index++) ids.push(await client.create(`v${index}`));
      const outcomes = await Promise.all(
        ids.map(async (volumeId) =>
          client.outcome('ControllerPublishVolume', { volumeId, nodeId: 'small', volumeCapability: WRITER }),
        ),
      );
      expect(tally(outcomes)).toEqual({ OK: 4, RESOURCE_EXHAUSTED: 2 });
    });
  });
});

describe('ControllerPublishVolume by two controllers', () => {
  test('keeps to a node’s limit', async () => {
    await withController(0, async ({ client, lab }) => {
      const addresses = Array.from({ length: 6 }, (_, slot) => `e3.${slot}`);
      await lab.node({ nodeId: 'small', addresses, volumesMax: 3 });
      await lab.free(client, 6);
      const ids: string[] = [];
      for (let index = 0; index < 6; index++) ids.push(await client.create(`v${index}`));
      const clients = [client, await lab.controller()];
      for (let round = 0; round < 5; round++) {
        const outcomes = await Promise.all(
          ids.map(async (volumeId, index) =>
            clients[index % 2].outcome('ControllerPublishVolume', { volumeId, nodeId: 'small', volumeCapability: WRITER }),
          ),
        );
        const { OK = 0, RESOURCE_EXHAUSTED = 0 } = tally(outcomes);
        // Two that meet at the limit may both step back.
        expect([2, 3]).toContain(OK);
        expect(OK + RESOURCE_EXHAUSTED).toBe(6);
        const published = (await lab.store.targets.list()).filter(({ value }) => value.publications.length > 0);
        expect(published).toHaveLength(OK);
        for (const volumeId of ids) await client.call('ControllerUnpublishVolume', { volumeId, nodeId: '' });
      }
    });
  }, 60_000);
});

describe('ListVolumes', () => {
  test('has each volume that stays on exactly one page while others come and go', async () => {
    await withController(16, async ({ client }) => {
      const stay: string[] = [];
      const go: string[] = [];
      for (let index = 0; index < 8; index++) (index % 2 === 0 ? stay : go).push(await client.create(`v${index}`));
      const seen: string[] = [];
      let startingToken = '';
      do {
        const { entries, nextToken } = await client.call('ListVolumes', { maxEntries: 2, startingToken });
        seen.push(...entries.map(({ volume }) => volume!.volumeId));
        expect(entries.length).toBeLessThanOrEqual(2);
        startingToken = nextToken;
        // The last volume of the page may be the one that goes: its token is good all the same.
        const leaving = go.shift();
        if (leaving !== undefined) await client.call('DeleteVolume', { volumeId: leaving });
        await client.create(`later-${seen.length}`);
      } while (startingToken !== '');
      expect(seen.filter((id) => stay.includes(id)).toSorted()).toEqual(stay.toSorted());
      expect(new Set(seen).size).toBe(seen.length);
    });
  }, 60_000);

  test('refuses tokens that it never gave and limits below nought', async () => {
    await withController(1, async ({ client }) => {
      expect(await client.outcome('ListVolumes', { startingToken: 'page 2' })).toMatch(/^ABORTED: /);
      expect(await client.outcome('ListVolumes', { maxEntries: -1 })).toMatch(/^INVALID_ARGUMENT: /);
      expect(await client.call('ListVolumes', { startingToken: 'e9.9' })).toEqual({ entries: [], nextToken: '' });
    });
  });
});

/** The first answer that is not "call again". */
async function eventualOutcome(ask: () => Promise<string>): Promise<string> {
  for (;;) {
    const outcome = await ask();
    if (!outcome.startsWith('ABORTED') && !outcome.startsWith('UNAVAILABLE')) return outcome;
    await new Promise((done) => setTimeout(done, 20));
  }
}
