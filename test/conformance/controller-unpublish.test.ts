import { describe, expect, test } from '@jest/globals';
import type { TargetRecord } from '../../src/volumes/records.ts';
import { change } from '../../src/volumes/store.ts';
import { READERS, withController, WRITER } from '../support/controller-service.ts';
import { hookedStore } from '../support/store-hooks.ts';

/** Runs `work` at the first call, and never again. */
function once(work: () => Promise<void>): () => Promise<void> {
  let isDone = false;
  return async () => {
    if (isDone) return;
    isDone = true;
    await work();
  };
}

describe('ControllerUnpublishVolume', () => {
  test('does not answer OK when the node has begun to stage and the controller was killed in between', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      // The node announces, and looks: it is still published. Then the controller writes, and dies.
      const killed = async (): Promise<void> => Promise.reject(new Error('killed'));
      const store = hookedStore(lab.store, { before: once(async () => node.stage(volumeId)), after: once(killed) });
      const dying = await lab.controller(store);
      const request = { volumeId, nodeId: 'node-1' };
      expect(await dying.outcome('ControllerUnpublishVolume', request)).toMatch(/^INTERNAL: .*killed/);
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(/^FAILED_PRECONDITION: .*staged there/);
      expect(await client.outcome('DeleteVolume', { volumeId })).toMatch(/^FAILED_PRECONDITION: /);
      await node.unstage(volumeId);
      expect(await client.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect(await client.outcome('DeleteVolume', { volumeId })).toBe('OK');
    });
  });

  test('lets nobody else have the volume before it is certain that the node can no longer write', async () => {
    await withController(1, async ({ client, node, lab }) => {
      await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      let meanwhile = '';
      const publishElsewhere = async (): Promise<void> => {
        meanwhile = await client.outcome('ControllerPublishVolume', { volumeId, nodeId: 'node-2', volumeCapability: WRITER });
      };
      const store = hookedStore(lab.store, { before: once(async () => node.stage(volumeId)), after: once(publishElsewhere) });
      const other = await lab.controller(store);
      const outcome = await other.outcome('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
      expect(outcome).toMatch(/^FAILED_PRECONDITION: .*staged there/);
      expect(meanwhile).toMatch(/^FAILED_PRECONDITION: .*published to node-1/);
      const { publications } = (await lab.store.targets.get('e1.0'))!.value;
      // And nothing has happened to the node's own use of it.
      expect(publications).toMatchObject([{ nodeId: 'node-1', isLeaving: false }]);
    });
  });

  test('takes away nothing that another call has published there again meanwhile, and says so', async () => {
    await withController(1, async ({ client, lab }) => {
      const volumeId = await client.create('a');
      const context = await client.publish(volumeId, 'node-1');
      let again: unknown;
      const publishAgain = async (): Promise<void> => {
        again = await client.publish(volumeId, 'node-1');
      };
      const other = await lab.controller(hookedStore(lab.store, { after: once(publishAgain) }));
      const request = { volumeId, nodeId: 'node-1' };
      const outcome = await other.outcome('ControllerUnpublishVolume', request);
      expect(again).toEqual(context);
      expect(outcome).toMatch(/^ABORTED: .*published it there again/);
      expect((await lab.store.targets.get('e1.0'))!.value.publications).toMatchObject([{ nodeId: 'node-1' }]);
      expect(await other.outcome('ControllerUnpublishVolume', request)).toBe('OK');
    });
  });

  test('takes nothing away that was published and staged there meanwhile, and that yet another call is about to look at', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      const request = { volumeId, nodeId: 'node-1' };
      const publishAndMark = once(async () => {
        await client.publish(volumeId, 'node-1');
        await node.stage(volumeId);
        await change(lab.store.targets, 'e1.0', (record) => ({
          ...record,
          publications: record.publications.map((publication) => ({ ...publication, isLeaving: true })),
        }));
      });
      const before = async ({ publications }: TargetRecord): Promise<void> =>
        publications.length === 0 ? publishAndMark() : undefined;
      // It stalls when it has looked, and is about to remove the publication.
      const stalled = await lab.controller(hookedStore(lab.store, { before }));
      expect(await stalled.outcome('ControllerUnpublishVolume', request)).toMatch(/^ABORTED: .*published it there again/);
      expect((await lab.store.targets.get('e1.0'))!.value.publications).toHaveLength(1);
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(/^FAILED_PRECONDITION: .*staged there/);
    });
  });

  test('does not wait until a node falls silent that is out of service, and has it fenced off', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      const other = await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      const request = { volumeId, nodeId: 'node-1' };
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(/^FAILED_PRECONDITION: .*node is alive/);
      const isOutOfService = async (nodeId: string): Promise<boolean> => Promise.resolve(nodeId === 'node-1');
      const informed = await lab.controller({ ...hookedStore(lab.store, {}), isOutOfService });
      expect(await informed.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect(other.done.filter((task) => task.startsWith('fence'))).toHaveLength(1);
    });
  });

  test('has another node fence when one could not, and the same again when there is no other', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      await node.fallSilent();
      const others = await Promise.all(['node-2', 'node-3'].map(async (nodeId) => lab.node({ nodeId, addresses: ['e1.0'] })));
      for (const other of others) other.failures.set('fence', 'the target is away');
      const request = { volumeId, nodeId: 'node-1' };
      const asked: string[] = [];
      for (let call = 0; call < 2; call++) {
        const outcome = await client.outcome('ControllerUnpublishVolume', request);
        asked.push(/^UNAVAILABLE: .*node (node-\d) could not fence it off/.exec(outcome)?.[1] ?? outcome);
      }
      expect(asked.toSorted()).toEqual(['node-2', 'node-3']);
      await others.find((_, at) => `node-${at + 2}` !== asked[1])?.fallSilent();
      expect(await client.outcome('ControllerUnpublishVolume', request)).toMatch(new RegExp(`node ${asked[1]} could not fence`));
    });
  });

  test('asks no node to fence that is out of service itself, nor waits for one that was asked before', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      const off = new Set(['node-1']);
      const isOutOfService = async (nodeId: string): Promise<boolean> => Promise.resolve(off.has(nodeId));
      const informed = await lab.controller({ ...hookedStore(lab.store, {}), isOutOfService });
      const request = { volumeId, nodeId: 'node-1' };
      // It has died with the other, and still counts as alive.
      const dead = await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      dead.held.add('fence');
      expect(await informed.outcome('ControllerUnpublishVolume', request, 1_500)).toMatch(/^(ABORTED|DEADLINE_EXCEEDED): /);
      off.add('node-2');
      expect(await informed.outcome('ControllerUnpublishVolume', request)).toMatch(/^FAILED_PRECONDITION: .*no other live node/);
      const other = await lab.node({ nodeId: 'node-3', addresses: ['e1.0'] });
      expect(await informed.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect(other.done).toEqual(['fence e1.0']);
    });
  });

  test('is answered with ABORTED while the node is not fenced off yet, and so is a publish to that node', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      const first = await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      await node.fallSilent();
      const other = await lab.node({ nodeId: 'node-2', addresses: ['e1.0'] });
      other.held.add('fence');
      const request = { volumeId, nodeId: 'node-1' };
      const waiting = client.outcome('ControllerUnpublishVolume', request, 3_000);
      await lab.settled(({ task }) => task?.kind === 'fence', 'e1.0');
      const elsewhere = await lab.controller();
      const publish = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
      expect(await elsewhere.outcome('ControllerPublishVolume', publish)).toMatch(/^ABORTED: .*node-2 is fencing it off/);
      expect(await waiting).toMatch(/^(ABORTED|DEADLINE_EXCEEDED): /);
      // The fence is done, but nobody asks for it any more: the volume is wanted on its node again.
      other.held.clear();
      other.look();
      await lab.settled(({ task }) => task?.state === 'done', 'e1.0');
      const again = await client.publish(volumeId, 'node-1');
      expect(Number(again['epoch'])).toBeGreaterThan(Number(first['epoch']));
      // A fence that was done for what was before is none for what is now.
      expect(await client.outcome('ControllerUnpublishVolume', request)).toBe('OK');
      expect(other.done.filter((task) => task.startsWith('fence'))).toHaveLength(2);
    });
  });

  test('has no silent reader fenced off: it could never write, and the others go on reading', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const other = await lab.node({ nodeId: 'node-2', addresses: ['e1.0'], fencing: 'claim' });
      const volumeId = await client.create('a', { volumeCapabilities: [READERS] });
      for (const nodeId of ['node-1', 'node-2'])
        await client.call('ControllerPublishVolume', { volumeId, nodeId, volumeCapability: READERS });
      await node.stage(volumeId);
      await other.stage(volumeId);
      const outcome = async (nodeId: string): Promise<string> =>
        client.outcome('ControllerUnpublishVolume', { volumeId, nodeId });
      expect(await outcome('node-1')).toMatch(/^FAILED_PRECONDITION: .*NodeUnstageVolume first/);
      await node.fallSilent();
      expect(await outcome('node-1')).toBe('OK');
      expect((await lab.store.targets.get('e1.0'))?.value).toMatchObject({ publications: [{ nodeId: 'node-2' }] });
      expect(other.done.filter((task) => task.startsWith('fence'))).toEqual([]);
    });
  });
});
