import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { GuestNode } from '../../support/cluster-guest-node.ts';
import { SAN, SAN_MTU } from '../../support/cluster-network.ts';
import { PodWriter } from '../../support/cluster-pod-writer.ts';
import { MOUNT } from '../../support/cluster-workloads.ts';
import { clusterCase, figure } from '../cases/given.ts';
import type { GuestsGiven } from './guests-given.ts';
import { whileWriting } from './while-writing.ts';

const AWAY_MS = 20_000;
const SMALL_MTU = 1500;
const BIG = 1 << 20;

/**
 * Reads a target with aoe.ko. What hangs then hangs as long as the node runs: it is the last thing that happens to it.
 * @see aoe.ko's aoecmd.c: it sends frames as large as the interface has it, and learns nothing from their loss
 */
const KERNELS_OWN = `modprobe aoe aoe_iflist=san0 && echo >/dev/etherd/discover && sleep 10
dd if=/dev/etherd/$1 of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null &
for second in $(seq 60); do sleep 1; kill -0 $! 2>/dev/null || { echo "read after $second s"; exit; }; done
echo "no read within 60 s, $(cat /sys/block/etherd!$1/state)"`;

/** What happens on the storage network. */
export function storageNetwork(given: GuestsGiven): void {
  clusterCase(given, 'a target is away for a while, has forgotten everything, and a pod writes on', async () => {
    const { cluster, driver } = given;
    await whileWriting(given, `target away for ${String(AWAY_MS / 1000)} s`, async ({ target }) => {
      await cluster.targets.stop(target);
      await sleep(AWAY_MS);
      await cluster.targets.serve(target);
    });
    await driver.ready();
  });

  clusterCase(given, 'big frames vanish on the wire, and a volume works with smaller ones and says why', async () => {
    const { cluster, driver, work } = given;
    const [node] = cluster.nodes;
    await withSmallWire(node, async () => {
      const writer = new PodWriter(cluster, work);
      await writer.start(node.name);
      const sum = await work.run(
        writer.pod,
        `head -c ${String(BIG)} /dev/urandom >${MOUNT}/big && sync ${MOUNT}/big && md5sum ${MOUNT}/big`,
      );
      await node.run('sh', '-c', 'echo 3 >/proc/sys/vm/drop_caches');
      expect(await work.run(writer.pod, `md5sum ${MOUNT}/big`)).toBe(sum);
      await writer.requireAllIn(writer.pod);
      const target = await work.bound(writer.claim);
      expect(await driver.log(node.name, 'initiator')).toMatch(
        new RegExp(`${target.replace('.', '\\.')}: frames with \\d+ sectors get no answer on san0 although both ends take them`),
      );
      const payloadBytes = await payloadOf(given, node.name, target);
      expect(payloadBytes).toBeLessThan(SMALL_MTU);
      figure(`behind a wire with MTU ${String(SMALL_MTU)}: ${String(payloadBytes)} byte in a frame`);
      const other = given.disks.find((each) => each !== target) ?? '';
      const peer = await node.run('sh', '-c', KERNELS_OWN, 'sh', other);
      figure(`behind it, the kernel's own initiator: ${peer.trim()}`);
    });
  });
}

/** What passes the wire between a node and the switch is small, though both ends believe in more. */
async function withSmallWire(node: GuestNode, run: () => Promise<void>): Promise<void> {
  node.place.ip(`link set ${SAN} mtu ${String(SMALL_MTU)}`);
  try {
    await run();
  } finally {
    node.place.ip(`link set ${SAN} mtu ${String(SAN_MTU)}`);
  }
}

async function payloadOf({ driver }: GuestsGiven, node: string, target: string): Promise<number> {
  const told = await driver.inInitiator(node, 'aoe-csi', 'stat', '--json');
  const { targets } = JSON.parse(told) as { targets: readonly { name: string; paths: readonly { payloadBytes: number }[] }[] };
  return Math.max(0, ...(targets.find(({ name }) => name === target)?.paths ?? []).map((path) => path.payloadBytes));
}
