import { join } from 'node:path';
import { expect } from '@jest/globals';
import { csiSanity, runCsiSanity, sanityFailures, sanitySkips, sanitySummary } from '../../support/csi-sanity.ts';
import { SANITY_SKIP_NAMES } from '../../support/csi-sanity-skips.ts';
import { CONTROLLERS, DRIVER_NAME } from '../../support/cluster-driver.ts';
import { patiently } from '../../support/patience.ts';
import { clusterCase, type Given } from './given.ts';

const MIB = 1024 * 1024;
const SUITE_MS = 200_000;
const FREE_MS = 60_000;
const KUBELET = '/var/lib/kubelet';
/** Two sizes: a volume takes a small one as long as there is one. */
const TARGETS: readonly (readonly [string, number])[] = [
  ...Array.from({ length: 8 }, (_, slot) => [`e20.${String(slot)}`, 128 * MIB] as const),
  ...Array.from({ length: 4 }, (_, slot) => [`e21.${String(slot)}`, 256 * MIB] as const),
];
/** Of a node: csi-sanity wants one more than it may have. */
export const VOLUMES_MAX = 4;

/** Kubernetes' own suite for CSI drivers, against the pods as they are deployed. */
export function sanity(given: Given): void {
  for (const accessType of ['mount', 'block'] as const) {
    clusterCase(
      given,
      `csi-sanity finds nothing wrong with the pods of the driver when volumes are used as ${accessType}`,
      async () => {
        const { cluster, driver } = given;
        csiSanity();
        for (const [name, sizeBytes] of TARGETS) await cluster.targets.add(name, sizeBytes);
        await allFree();
        const { node, socket } = await someController();
        const result = await runCsiSanity({
          nodeSocket: join(KUBELET, 'plugins', DRIVER_NAME, 'csi.sock'),
          controllerSocket: socket,
          folder: cluster.folder,
          // The node plugin sees nothing else of its node.
          mountFolder: KUBELET,
          run: async (words) => cluster.node(node).run(...words),
          accessType,
          volumeSizeBytes: 64 * MIB,
          expandedSizeBytes: 96 * MIB,
          parameters: {
            shelves: '20-21',
            maxWaste: '100%',
            fencing: 'reserve',
            wipe: 'headers',
            'csi.storage.k8s.io/fstype': 'ext4',
          },
          mutableParameters: { deadSeconds: '60', maxOutstanding: '64' },
          timeoutMs: patiently(SUITE_MS),
        });
        process.stderr.write(`cluster: ${sanitySummary(accessType, result)}\n`);
        expect(sanityFailures(result)).toEqual([]);
        expect(sanitySkips(result)).toEqual(SANITY_SKIP_NAMES);
        await allFree();
        for (const [name] of TARGETS) await cluster.targets.stop(name);
        await driver.ready();
      },
    );
  }

  const allFree = async (): Promise<void> => {
    await given.cluster.until('targets for csi-sanity to be free', FREE_MS, async () => {
      const free = (await given.driver.list('aoetargets')).filter(({ spec }) => spec['state'] === 'Available');
      return TARGETS.every(([name]) => free.some(({ metadata }) => metadata.name === name));
    });
  };

  /** A controller is called where it runs: its socket is in a folder of its pod. */
  const someController = async (): Promise<{ node: string; socket: string }> => {
    const [{ metadata, spec }] = await given.driver.list('pods', CONTROLLERS);
    const socket = join(KUBELET, 'pods', metadata.uid, 'volumes/kubernetes.io~empty-dir/csi/csi.sock');
    return { node: String(spec['nodeName']), socket };
  };
}
