import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { VolumeCapability } from '../csi/messages.ts';
import type { Init } from '../rpc/message-types.ts';
import { isRpcError } from '../rpc/status.ts';
import { NODE_ID } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import type { Orchestrator } from './orchestrator.ts';

const FS_TYPE = 'ext4';

/** A volume as an orchestrator sees it: one method for each call of CSI, with what one call hands to the next. */
export class CsiVolume {
  readonly id: string;
  readonly #laboratory: Laboratory;
  readonly #orchestrator: Orchestrator;
  /** From ControllerPublishVolume, for the node: which disk to expect, and the epoch of this publication. */
  #publishContext: Readonly<Record<string, string>> = {};

  /** CreateVolume: a target is chosen and claimed. */
  static async create(laboratory: Laboratory, orchestrator: Orchestrator, name: string, sizeBytes: number): Promise<CsiVolume> {
    const { volume } = await orchestrator.call(
      'CreateVolume',
      { name, capacityRange: { requiredBytes: sizeBytes }, volumeCapabilities: [capabilityOf()] },
      (response) => `${response.volume?.volumeId ?? '?'} with ${megabytes(response.volume?.capacityBytes ?? 0)}`,
    );
    return new CsiVolume(laboratory, orchestrator, volume?.volumeId ?? '');
  }

  private constructor(laboratory: Laboratory, orchestrator: Orchestrator, id: string) {
    this.#laboratory = laboratory;
    this.#orchestrator = orchestrator;
    this.id = id;
  }

  /** ControllerPublishVolume: from now on this node may use the volume, and no other. */
  async controllerPublish(): Promise<void> {
    const { publishContext } = await this.#orchestrator.call(
      'ControllerPublishVolume',
      { volumeId: this.id, nodeId: NODE_ID, volumeCapability: capabilityOf() },
      ({ publishContext: context }) => `node ${NODE_ID} may use it, epoch ${context['epoch'] ?? '?'}`,
    );
    this.#publishContext = publishContext;
  }

  /** NodeStageVolume: attached, formatted if it never was, checked, mounted once for this node. */
  async nodeStage(): Promise<void> {
    const { stagingPath } = this.#laboratory.run;
    mkdirSync(stagingPath, { recursive: true });
    await this.#orchestrator.call(
      'NodeStageVolume',
      {
        volumeId: this.id,
        stagingTargetPath: stagingPath,
        volumeCapability: capabilityOf(),
        publishContext: this.#publishContext,
      },
      () => `${FS_TYPE} mounted at ${stagingPath}`,
    );
  }

  /** NodePublishVolume: shown to one pod. */
  async nodePublish(): Promise<void> {
    const { stagingPath, targetPath } = this.#laboratory.run;
    mkdirSync(dirname(targetPath), { recursive: true });
    await this.#orchestrator.call(
      'NodePublishVolume',
      {
        volumeId: this.id,
        stagingTargetPath: stagingPath,
        targetPath,
        volumeCapability: capabilityOf(),
        publishContext: this.#publishContext,
      },
      () => `a pod sees it at ${targetPath}`,
    );
  }

  /** NodeGetVolumeStats. Returns the size of the file system. */
  async nodeGetStats(): Promise<number> {
    const { usage } = await this.#orchestrator.call(
      'NodeGetVolumeStats',
      { volumeId: this.id, volumePath: this.#laboratory.run.targetPath },
      (response) => {
        const { used = 0, total = 0 } = response.usage.find(({ unit }) => unit === 'BYTES') ?? {};
        return `${megabytes(used)} of ${megabytes(total)} used`;
      },
    );
    return usage.find(({ unit }) => unit === 'BYTES')?.total ?? 0;
  }

  /** ControllerExpandVolume: granted as soon as the nodes see that the target has grown. */
  async controllerExpand(sizeBytes: number): Promise<void> {
    await this.#orchestrator.call(
      'ControllerExpandVolume',
      { volumeId: this.id, capacityRange: { requiredBytes: sizeBytes } },
      ({ capacityBytes }) => `${megabytes(capacityBytes)} granted`,
    );
  }

  /**
   * NodeExpandVolume: the file system grows under its users.
   * @returns false where the device can't grow while it is attached (FUSE): then the next NodeStageVolume does it
   */
  async nodeExpand(sizeBytes: number): Promise<boolean> {
    try {
      await this.#orchestrator.call(
        'NodeExpandVolume',
        { volumeId: this.id, volumePath: this.#laboratory.run.targetPath, capacityRange: { requiredBytes: sizeBytes } },
        ({ capacityBytes }) => `the file system has ${megabytes(capacityBytes)}`,
      );
      return true;
    } catch (error) {
      if (!isRpcError(error) || error.code !== 'FAILED_PRECONDITION') throw error;
      this.#laboratory.narrator.say(
        `NodeExpandVolume: FAILED_PRECONDITION, as it must here (${error.message}); the next stage does it`,
      );
      return false;
    }
  }

  async nodeUnpublish(): Promise<void> {
    const { targetPath } = this.#laboratory.run;
    await this.#orchestrator.call('NodeUnpublishVolume', { volumeId: this.id, targetPath }, () => 'the pod sees it no more');
  }

  /** NodeUnstageVolume: all is written, unmounted, detached. */
  async nodeUnstage(): Promise<void> {
    const { stagingPath: stagingTargetPath } = this.#laboratory.run;
    await this.#orchestrator.call('NodeUnstageVolume', { volumeId: this.id, stagingTargetPath }, () => 'unmounted and detached');
  }

  /** ControllerUnpublishVolume: OK means that the node can no longer write. */
  async controllerUnpublish(): Promise<void> {
    await this.#orchestrator.call(
      'ControllerUnpublishVolume',
      { volumeId: this.id, nodeId: NODE_ID },
      () => `node ${NODE_ID} can no longer write to it`,
    );
  }

  /** DeleteVolume: the target is given back; a node wipes it before anybody else gets it. */
  async delete(): Promise<void> {
    await this.#orchestrator.call('DeleteVolume', { volumeId: this.id }, () => 'given back, to be wiped');
  }
}

/** What the volume is for: one node writes to a file system on it. */
function capabilityOf(): Init<VolumeCapability> {
  return {
    accessMode: { mode: 'SINGLE_NODE_WRITER' },
    mount: { fsType: FS_TYPE, mountFlags: [], volumeMountGroup: '' },
  };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
