import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { CONTAINERD_SOCKET } from '../../support/cluster-containerd.ts';
import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import type { GuestNode } from '../../support/cluster-guest-node.ts';
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
      await given.cluster.node(node).run('sh', '-c', 'kill -9 $(pgrep -f "^[^ ]*node .* initiator --interfaces")');
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
    for (const node of cluster.nodes) await tagImage(node);
    await whileWriting(given, 'initiators upgraded', async () => {
      const before = await driver.nodePods();
      await driver.upgrade({ image: { tag: NEXT_TAG } });
      for (const pod of await driver.nodePodsAfter(before)) {
        const [said] = /took over from the initiator that ran before[^"]*/.exec(await driver.podLog(pod, 'initiator')) ?? [];
        expect(said).toBeDefined();
        figure(`${pod} ${String(said)}`);
      }
      await driver.ready();
    });
  });

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

/** A name that its image has on a node from now on. */
async function tagImage(node: GuestNode): Promise<void> {
  const images = ['ctr', '--address', CONTAINERD_SOCKET, '--namespace', 'k8s.io', 'images'];
  const names = (await node.run(...images, 'list', '--quiet')).split('\n');
  const own = names.find((name) => name.startsWith('localhost/aoe-csi:')) ?? '';
  await node.run(...images, 'tag', '--force', own, own.replace(/:[^:]*$/, `:${NEXT_TAG}`));
}
