import { describe, expect, test } from '@jest/globals';
import { FORGOTTEN } from '../../src/volumes/inventory.ts';
import { withController } from '../support/controller-service.ts';

const ADDRESS = 'e1.0';

describe('a target that has forgotten its claim', () => {
  test('is told again when no node uses its volume', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      const claim = node.strings.get(ADDRESS);
      expect(claim).toMatch(/^aoe-csi\/1;/);
      node.strings.delete(ADDRESS);
      await node.report();
      await lab.settled(({ task, reason }) => node.strings.has(ADDRESS) && task === undefined && reason === '', ADDRESS);
      expect(node.strings.get(ADDRESS)).toBe(claim);
      expect(node.done).toEqual([`claim ${ADDRESS}`, `claim ${ADDRESS}`]);
      expect(await client.volumeIds()).toEqual([volumeId]);
    });
  });

  test('is left to the node that uses its volume', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      await client.publish(volumeId, 'node-1');
      node.strings.delete(ADDRESS);
      await node.report();
      await lab.settled(({ reason }) => reason === FORGOTTEN, ADDRESS);
      expect(node.done).toEqual([`claim ${ADDRESS}`]);
    });
  });

  test('stays the volume’s in the record when it carries somebody else’s claim by then', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      node.held.add('claim');
      node.strings.delete(ADDRESS);
      await node.report();
      await lab.settled(({ task }) => task?.kind === 'claim', ADDRESS);
      node.strings.set(ADDRESS, 'stranger');
      node.held.clear();
      node.look();
      await lab.settled(({ task, reason }) => task === undefined && reason.includes('stranger'), ADDRESS);
      expect(await client.volumeIds()).toEqual([volumeId]);
    });
  });

  test('does not hold up a fence', async () => {
    await withController(1, async ({ client, node, lab }) => {
      const volumeId = await client.create('a');
      node.held.add('claim');
      node.strings.delete(ADDRESS);
      await node.report();
      await lab.settled(({ task }) => task?.kind === 'claim', ADDRESS);
      await client.publish(volumeId, 'node-1');
      await node.stage(volumeId);
      await node.fallSilent();
      const other = await lab.node({ nodeId: 'node-2', addresses: [ADDRESS] });
      other.held.add('claim');
      await client.insist('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
      expect(other.done).toEqual([`fence ${ADDRESS}`]);
    });
  });
});
