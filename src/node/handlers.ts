import type { CsiHandlers } from '../csi/handlers.ts';
import type { NodeMethods, NodeServiceCapabilityRPCType } from '../csi/messages.ts';
import { VolumeError } from '../volumes/errors.ts';
import { expandVolume } from './expansion.ts';
import { storageHealth, volumeHealth } from './health.ts';
import type { NodeParts } from './node-parts.ts';
import type { NodeService } from './node-service.ts';
import { readCapability } from './staging/capability.ts';
import { addressOf } from './staging/known-volume.ts';
import { volumeUsage } from './stats.ts';

const CAPABILITIES: readonly NodeServiceCapabilityRPCType[] = [
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'GET_VOLUME_HEALTH',
  'GET_STORAGE_HEALTH',
];

export interface NodeInfo {
  readonly nodeId: string;
  readonly volumesMax: number;
}

/** CSI Node: refuse, translate, call one service, translate. */
export function nodeHandlers(info: NodeInfo, parts: NodeParts, service: NodeService): CsiHandlers<NodeMethods> {
  return {
    NodeStageVolume: async (request, call) => {
      const { logger } = call;
      const { volumeId, stagingTargetPath: stagingPath, publishContext, volumeContext } = request;
      const usage = readCapability(request.volumeCapability);
      await service.stage(
        { volumeId, stagingPath, usage, publishContext, volumeContext, remainingMs: () => call.remainingMs() },
        logger,
      );
      return {};
    },

    NodeUnstageVolume: async ({ volumeId, stagingTargetPath }, { logger }) => {
      await service.unstage(volumeId, stagingTargetPath, logger);
      return {};
    },

    NodePublishVolume: async (request, { logger }) => {
      const { volumeId, stagingTargetPath: stagingPath, targetPath, readonly: readOnly } = request;
      const usage = readCapability(request.volumeCapability);
      if (stagingPath === '') {
        throw new VolumeError(
          'failed-precondition',
          `cannot publish ${volumeId}: staging_target_path is missing; this driver stages volumes`,
        );
      }
      await service.publish({ volumeId, stagingPath, targetPath, usage, readOnly }, logger);
      return {};
    },

    NodeUnpublishVolume: async ({ volumeId, targetPath }, { logger }) => {
      await service.unpublish(volumeId, targetPath, logger);
      return {};
    },

    NodeGetVolumeStats: async ({ volumeId, volumePath }) => ({
      usage: await volumeUsage(parts, volumeId, volumePath),
    }),

    NodeExpandVolume: async ({ volumeId, volumePath: path, capacityRange }, { logger }) => {
      const { requiredBytes = 0, limitBytes = 0 } = capacityRange ?? {};
      const capacityBytes = await service.lock.run(`volume ${addressOf(volumeId)}`, async () =>
        expandVolume(parts, { volumeId, path, requiredBytes, limitBytes }, logger),
      );
      return { capacityBytes };
    },

    NodeGetVolumeHealth: async ({ volumeId }) => ({
      volumeHealth: { volumeId, healthStatuses: await volumeHealth(parts, volumeId) },
    }),

    NodeGetStorageHealth: async () => ({ backendHealth: await storageHealth(parts) }),

    NodeGetCapabilities: () => Promise.resolve({ capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })) }),

    NodeGetInfo: () =>
      Promise.resolve({
        nodeId: info.nodeId,
        maxVolumesPerNode: info.volumesMax,
        ...(Object.keys(parts.recorder.segments).length === 0
          ? {}
          : { accessibleTopology: { segments: parts.recorder.segments } }),
      }),
  };
}
