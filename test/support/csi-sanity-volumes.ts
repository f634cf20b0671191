import { RpcClient } from '../../src/rpc/client.ts';
import { loadService } from '../../src/rpc/service.ts';
import { withCsi, type CsiLaboratory, type CsiLaboratoryOptions, type Disk } from './controller-laboratory.ts';
import { runCsiSanity, type SanityOptions, type SanityResult } from './csi-sanity.ts';
import { MIB } from './faults-laboratory.ts';
import { eventually } from './faults-process.ts';

const FREE_MS = 20_000;
const CALL_MS = 30_000;

/** Two sizes: a volume takes a small one as long as there is one. */
const DISKS: readonly Disk[] = [
  ...Array.from({ length: 8 }, (_, slot) => ({ address: `e10.${slot}`, sizeBytes: 128 * MIB })),
  ...Array.from({ length: 4 }, (_, slot) => ({ address: `e11.${slot}`, sizeBytes: 256 * MIB })),
];
const VOLUMES_MAX = 4;

type Run = (options: Pick<SanityOptions, 'accessType' | 'timeoutMs' | 'focus'>) => Promise<SanityResult>;

/** A controller, a node plugin, an initiator and targets; `work` runs csi-sanity against them, as often as it wants. */
export async function withSanityVolumes(
  kinds: Pick<CsiLaboratoryOptions, 'inKernel' | 'vblade'>,
  work: (run: Run) => Promise<void>,
): Promise<void> {
  await withCsi({ disks: DISKS, volumesMax: VOLUMES_MAX, ...kinds }, async (csi) => {
    await csi.startController();
    await csi.startNode();
    await work(async (options) => {
      await allFree(csi);
      const result = await runCsiSanity({
        nodeSocket: csi.nodeSocket,
        controllerSocket: csi.controllerSocket,
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
        ...options,
      });
      // Wipes of its last volumes are still under way.
      if (result.failed === 0) await allFree(csi);
      return result;
    });
  });
}

/** Waits until the controller can give each of the disks away: it knows them, and nobody has them. */
async function allFree({ controllerSocket, report }: CsiLaboratory): Promise<void> {
  const client = new RpcClient(loadService('csi.proto', 'csi.v1.Controller'), controllerSocket);
  const totalBytes = DISKS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  try {
    await eventually(`all targets to be free; ${report}`, FREE_MS, async () => {
      const { availableCapacity } = await client.call<{ availableCapacity: number }>('GetCapacity', {}, { timeoutMs: CALL_MS });
      return availableCapacity === totalBytes;
    });
  } finally {
    client.close();
  }
}
