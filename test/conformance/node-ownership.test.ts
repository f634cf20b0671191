import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { fenceTask } from '../../src/controller/tasks.ts';
import { InitiatorClient } from '../../src/node/initiator-client.ts';
import { eventually } from '../support/faults-process.ts';
import { withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { patiently } from '../support/patience.ts';
import { describeIf, testIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const TEST_MS = 120_000;
const ADDRESS = 'e10.1';
const WRITER = 'SINGLE_NODE_WRITER';
/** The target announces itself: nobody waits for the next look, a minute later. */
const NOTICE_MS = 15_000;
/** Time enough for a node to do what it must not. */
const WRONG_MS = 5_000;

interface Ownership {
  readonly configString: string;
  readonly macs: readonly string[];
}

/** What stands on the target, as a machine reads it that may also be somebody else's. */
async function ownership({ initiators }: NodeLaboratory): Promise<Ownership> {
  const client = new InitiatorClient(initiators[1].socketPath);
  try {
    const { texts } = await client.configString(ADDRESS, 'READ');
    const { lists } = await client.reserved(ADDRESS);
    return { configString: texts[0], macs: lists[0] };
  } finally {
    client.close();
  }
}

async function becomes(lab: NodeLaboratory, expected: Ownership): Promise<void> {
  let last = '';
  await eventually(`the target to be owned as before; ${last} ${lab.report}`, NOTICE_MS, async () => {
    last = JSON.stringify(await ownership(lab));
    return last === JSON.stringify(expected);
  });
}

/** Kills the target and starts it again: it has forgotten its config string and its reservation. */
async function restartTarget(lab: NodeLaboratory): Promise<void> {
  await lab.stopTarget();
  await lab.startTarget();
}

describeIf(NODE_REQUIREMENTS, 'a target that forgets whose it is', () => {
  testIf(
    [],
    'is told again by the node that has its volume',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const node = await lab.startNode();
        const volume = new NodeVolume(lab, node, await lab.volume(ADDRESS), 'ext4');
        await volume.stage();
        await volume.publish();
        volume.write('before');
        const before = await ownership(lab);
        expect(before.configString).toMatch(/^aoe-csi\/1;node-test;/);
        expect(before.macs).toHaveLength(1);
        await restartTarget(lab);
        await becomes(lab, before);
        volume.write('after');
        await volume.unpublish();
        await volume.unstage();
        // Who has it next takes the reservation over; until then nobody gets in.
        expect(await ownership(lab)).toEqual(before);
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'goes on when its node gets one interface more, and is reserved for that, too',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const node = await lab.startNode();
        const volume = new NodeVolume(lab, node, await lab.volume(ADDRESS), 'ext4');
        await volume.stage();
        await volume.publish();
        volume.write('over one');
        const { configString, macs } = await ownership(lab);
        lab.plug('san1');
        await lab.initiator.must('interfaces', 'set', 'san0', 'san1');
        await eventually(`the target to be reserved for both; ${lab.report}`, NOTICE_MS, async () => {
          const now = await ownership(lab);
          return now.macs.length === 2 && macs.every((mac) => now.macs.includes(mac)) && now.configString === configString;
        });
        await lab.initiator.must('interfaces', 'set', 'san1');
        volume.write('over the other one');
        await volume.unpublish();
        await volume.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'has two MACs that know nothing of each other, and is claimed, reserved and fenced at both',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const also = await lab.serveAlso('tgt1');
        const [first] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        const volume = new NodeVolume(lab, first, await lab.volume(ADDRESS), 'ext4');
        await volume.stage();
        await volume.publish();
        volume.write('durable');
        const onlooker = new InitiatorClient(lab.initiators[1].socketPath);
        try {
          const { texts } = await onlooker.configString(ADDRESS, 'READ');
          expect(texts).toEqual([expect.stringMatching(/^aoe-csi\/1;node-test;/), texts[0]]);
          const { lists: before } = await onlooker.reserved(ADDRESS);
          expect(before).toEqual([[expect.any(String)], before[0]]);
          await lab.publish(ADDRESS, 2, WRITER, 'node-2');
          expect((await lab.task(ADDRESS, 'fence', fenceTask('node-1', 1, 'node-2').id, 'node-2')).task?.state).toBe('done');
          const { lists: after } = await onlooker.reserved(ADDRESS);
          expect(after).toEqual([[expect.any(String)], after[0]]);
          expect(after).not.toEqual(before);
          // Whoever it still answers may write there: nobody can say that a node is fenced off then.
          await also.process.end('SIGKILL');
          const { task } = await lab.task(ADDRESS, 'fence', fenceTask('node-9', 2, 'node-2').id, 'node-2');
          expect(task).toMatchObject({ state: 'failed', message: expect.stringMatching(/cannot be sure .* 1 more MAC/) });
        } finally {
          onlooker.close();
        }
        await volume.unpublish();
        await volume.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'has a MAC that was silent when the volume went to another node, and is reserved for that one there, too, when it is back',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const { port } = await lab.serveAlso('tgt1');
        const [first, second] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        const volumeId = await lab.volume(ADDRESS);
        const before = new NodeVolume(lab, first, volumeId, 'ext4');
        await before.stage();
        await before.unstage();
        port.forward(false);
        await lab.publish(ADDRESS, 2, WRITER, 'node-2');
        const after = new NodeVolume(lab, second, volumeId, 'ext4');
        after.epoch = 2;
        await after.stage();
        port.forward(true);
        const client = new InitiatorClient(lab.initiators[1].socketPath);
        try {
          await client.discover();
          let lists: readonly (readonly string[])[] = [];
          await eventually(`both MACs to answer; ${lab.report}`, NOTICE_MS, async () => {
            ({ lists } = await client.reserved(ADDRESS));
            return lists.length === 2;
          });
          // The first node could write there, and the second one would be refused if it had to go over to it.
          expect(lists[1]).not.toEqual(lists[0]);
          // It looks when it starts, and each minute.
          await second.restart();
          await eventually(`both MACs to be the second node's; ${lab.report}`, NOTICE_MS, async () => {
            const now = await client.reserved(ADDRESS);
            return now.lists.length === 2 && now.lists.every((list) => String(list) === String(lists[0]));
          });
        } finally {
          client.close();
        }
        await after.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is not told by a node that the volume was taken from, but by the one that has it now',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const [first, second] = [await lab.startNode(), await lab.startNode({ nodeId: 'node-2' })];
        const volumeId = await lab.volume(ADDRESS);
        const before = new NodeVolume(lab, first, volumeId, 'ext4');
        await before.stage();
        await before.publish();
        await lab.publish(ADDRESS, 2, WRITER, 'node-2');
        const after = new NodeVolume(lab, second, volumeId, 'ext4');
        after.epoch = 2;
        await after.stage();
        await after.publish();
        const owned = await ownership(lab);
        second.signal('SIGSTOP');
        await restartTarget(lab);
        await sleep(patiently(WRONG_MS));
        expect(await ownership(lab)).toEqual({ configString: '', macs: [] });
        second.signal('SIGCONT');
        await becomes(lab, owned);
        after.write('by the second');
        await before.unpublish();
        await before.unstage();
        expect(await ownership(lab)).toEqual(owned);
        await after.unpublish();
        await after.unstage();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'and is somebody else’s meanwhile, stays that',
    async () => {
      await withNode({ disks: { [ADDRESS]: 64 * MIB }, machines: 2, vblade: true }, async (lab) => {
        const node = await lab.startNode();
        const volume = new NodeVolume(lab, node, await lab.volume(ADDRESS), 'ext4');
        await volume.stage();
        await volume.publish();
        node.signal('SIGSTOP');
        await restartTarget(lab);
        const stranger = new InitiatorClient(lab.initiators[1].socketPath);
        try {
          await stranger.configString(ADDRESS, 'SET', 'stranger');
          await stranger.reserve(ADDRESS, 'SET', 'own');
        } finally {
          stranger.close();
        }
        const theirs = await ownership(lab);
        node.signal('SIGCONT');
        await node.logged(/cannot keep e10\.1.*claimed by/);
        expect(await ownership(lab)).toEqual(theirs);
      });
    },
    TEST_MS,
  );
});
