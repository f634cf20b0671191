import { expect } from '@jest/globals';
import { RpcClient } from '../../src/rpc/client.ts';
import { loadService } from '../../src/rpc/service.ts';
import { withCsi, type CsiLaboratory, type Disk } from '../support/controller-laboratory.ts';
import { go } from '../support/csi-go.ts';
import { csiSanity, runCsiSanity, SANITY_BUILD_MS, sanityFailures, sanitySkips, sanitySummary } from '../support/csi-sanity.ts';
import { SANITY_SKIP_NAMES } from '../support/csi-sanity-skips.ts';
import { MIB } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { command, describeIf, device, root, testIf } from '../support/requires.ts';

const SUITE_MS = 400_000;
const SEEN_MS = 20_000;

/** Two sizes: a volume takes a small one as long as there is one. */
const DISKS: readonly Disk[] = [
  ...Array.from({ length: 8 }, (_, slot) => ({ address: `e10.${slot}`, sizeBytes: 128 * MIB })),
  ...Array.from({ length: 4 }, (_, slot) => ({ address: `e11.${slot}`, sizeBytes: 256 * MIB })),
];
const VOLUMES_MAX = 4;

const REQUIREMENTS = [
  root(),
  go(),
  command('nbdfuse', 'libnbd-bin'),
  command('mkfs.ext4', 'e2fsprogs'),
  device('/dev/fuse'),
  device('/dev/loop-control'),
];

describeIf(REQUIREMENTS, 'csi-sanity', () => {
  for (const accessType of ['mount', 'block'] as const) {
    testIf(
      [],
      `finds nothing wrong when volumes are used as ${accessType}`,
      async () => {
        csiSanity();
        await withCsi({ disks: DISKS, volumesMax: VOLUMES_MAX }, async (csi) => {
          await csi.startController();
          await csi.startNode();
          await allFree(csi);
          const result = await runCsiSanity({
            nodeSocket: csi.nodeSocket,
            controllerSocket: csi.controllerSocket,
            accessType,
            folder: csi.lab.folder,
            volumeSizeBytes: 64 * MIB,
            expandedSizeBytes: 96 * MIB,
            parameters: {
              shelves: '10-11',
              maxWaste: '100%',
              fencing: 'reserve',
              wipe: 'headers',
              'csi.storage.k8s.io/fstype': 'ext4',
            },
            mutableParameters: { deadSeconds: '60', maxOutstanding: '64' },
            timeoutMs: SUITE_MS,
          });
          console.log(sanitySummary(accessType, result));
          expect(sanityFailures(result)).toEqual([]);
          expect(sanitySkips(result)).toEqual(SANITY_SKIP_NAMES);
        });
      },
      SUITE_MS + SANITY_BUILD_MS,
    );
  }
});

/** Waits until the controller can give each of the disks away. */
async function allFree({ controllerSocket, report }: CsiLaboratory): Promise<void> {
  const client = new RpcClient(loadService('csi.proto', 'csi.v1.Controller'), controllerSocket);
  const totalBytes = DISKS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  try {
    await eventually(`the controller to know all targets; ${report}`, SEEN_MS, async () => {
      const { availableCapacity } = await client.call<{ availableCapacity: number }>('GetCapacity', {}, { timeoutMs: 5_000 });
      return availableCapacity === totalBytes;
    });
  } finally {
    client.close();
  }
}
