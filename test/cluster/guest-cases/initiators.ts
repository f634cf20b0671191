import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { imagesCommand } from '../../support/cluster-containerd.ts';
import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import type { GuestNode } from '../../support/cluster-guest-node.ts';
import type { Values } from '../../support/cluster-helm.ts';
import type { ClusterNode } from '../../support/cluster-node.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, figure } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';
import { whileWriting } from './while-writing.ts';

const GONE_MS = 60_000;
const HELD_MS = 20_000;
const NEXT_TAG = 'next';

/** What serves a device ends, in every way, and the device stays. */
export function initiators(given: GuestsGiven): void {
  clusterCase(given, 'an initiator is killed, and its pods write on', async () => {
    await whileWriting(given, 'initiator killed', async ({ node }) => {
      await killInitiator(given.cluster.node(node));
    });
  });

  clusterCase(given, 'the pod of a node is deleted, and the pods that have volumes there write on', async () => {
    const { cluster, driver } = given;
    await whileWriting(given, 'pod of the node deleted', async ({ node }) => {
      await cluster.kubectl.delete('pod', await driver.nodePod(node), `--namespace=${DRIVER_NAMESPACE}`);
    });
    await driver.ready();
  });

  clusterCase(given, 'helm upgrade to another image hands devices over, and pods write on', async () => {
    const { cluster, driver } = given;
    for (const machine of cluster.machines) await tagImage(machine);
    await whileWriting(given, 'initiators upgraded', async () => {
      for (const pod of await exchange(given, { image: { tag: NEXT_TAG } })) {
        const [said] = /took over from the initiator that ran before[^"]*/.exec(await driver.podLog(pod, 'initiator')) ?? [];
        expect(said).toBeDefined();
        figure(`${pod} ${String(said)}`);
      }
    });
  });

  clusterCase(
    given,
    'initiators with a list of capabilities in place of privileges take over, and serve new volumes, too',
    async () => {
      const { cluster, driver, work } = given;
      await whileWriting(given, 'privileges taken from initiators', async ({ node }) => {
        await exchange(given, { initiator: { privileged: false } });
        expect(await driver.inInitiator(node, 'grep', 'CapEff', '/proc/1/status')).not.toMatch(/f{8}/);
        await work.claim('more', { size: '100Mi' });
        await work.pod('second', { claim: 'more', node });
        await work.running('second');
        expect(await work.run('second', 'cat /proc/mounts')).toMatch(new RegExp(`^/dev/nbd\\d+ ${MOUNT} `, 'm'));
        await killInitiator(cluster.node(node));
        await work.run('second', `echo durable >${MOUNT}/file && sync ${MOUNT}/file`);
      });
      await exchange(given, {});
    },
  );

  clusterCase(given, 'all is uninstalled in spite of a volume in use, installed again, and the pod writes on', async () => {
    const { cluster, driver } = given;
    await whileWriting(given, 'uninstalled, and installed again', async ({ writer }) => {
      await driver.uninstall();
      await cluster.until('its pods to be gone', GONE_MS, async () => (await driver.list('pods')).length === 0);
      const before = writer.last;
      await sleep(HELD_MS);
      expect(writer.last).toBe(before);
      await driver.install();
    });
  });
}

/** Upgrades to these values, and waits until all nodes have new pods. @returns their names */
async function exchange({ driver }: GuestsGiven, values: Values): Promise<readonly string[]> {
  const before = await driver.nodePods();
  await driver.upgrade(values);
  const after = await driver.nodePodsAfter(before);
  await driver.ready();
  return after;
}

async function killInitiator(node: GuestNode): Promise<void> {
  await node.run('sh', '-c', 'kill -9 $(pgrep -f "^[^ ]*node .* initiator --interfaces")');
}

/** A name that its image has on a node from now on. */
async function tagImage(node: ClusterNode): Promise<void> {
  const images = imagesCommand();
  const names = (await node.run(...images, 'list', '--quiet')).split('\n');
  const own = names.find((name) => name.startsWith('localhost/aoe-csi:')) ?? '';
  await node.run(...images, 'tag', '--force', own, own.replace(/:[^:]*$/, `:${NEXT_TAG}`));
}
