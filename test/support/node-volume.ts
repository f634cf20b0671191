import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRpcError } from '../../src/rpc/status.ts';
import { listMounts } from '../../src/system/mounts.ts';
import { eventually } from './faults-process.ts';
import type { NodeLaboratory, Use } from './node-laboratory.ts';
import type { NodeMethod, NodeProcess, NodeRequest } from './node-process.ts';

const BUSY_MS = 10_000;

/** What a test wants otherwise. */
export interface NodeVolumeOptions {
  readonly mode?: string;
  readonly mountFlags?: readonly string[];
  readonly stagingPath?: string;
  readonly targetPath?: string;
}

/** A volume on its way through a node: where it is, and the calls that an orchestrator makes for it. */
export class NodeVolume {
  readonly volumeId: string;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly use: Use;
  readonly #options: NodeVolumeOptions;
  readonly #node: NodeProcess;
  /** Of the publication that the calls are made for. */
  epoch = 1;

  constructor(lab: NodeLaboratory, node: NodeProcess, volumeId: string, use: Use, options: NodeVolumeOptions = {}) {
    this.volumeId = volumeId;
    this.use = use;
    this.#options = options;
    this.#node = node;
    const address = volumeId.split('@')[0];
    const { nodeId } = node;
    this.stagingPath = options.stagingPath ?? lab.folder('kubelet', nodeId, 'staging', address);
    this.targetPath = options.targetPath ?? join(lab.folder('kubelet', nodeId, 'pods', address), 'volume');
  }

  get capability(): NonNullable<NodeRequest<'NodeStageVolume'>['volumeCapability']> {
    const { mode = 'SINGLE_NODE_WRITER', mountFlags = [] } = this.#options;
    const accessMode = { mode: mode as 'SINGLE_NODE_WRITER' };
    return this.use === 'block'
      ? { accessMode, block: {} }
      : { accessMode, mount: { fsType: this.use, mountFlags: [...mountFlags], volumeMountGroup: '' } };
  }

  get stageRequest() {
    return {
      volumeId: this.volumeId,
      stagingTargetPath: this.stagingPath,
      volumeCapability: this.capability,
      publishContext: { epoch: String(this.epoch) },
    };
  }

  get publishRequest() {
    const { volumeId, stagingPath: stagingTargetPath, targetPath, capability: volumeCapability } = this;
    return { volumeId, stagingTargetPath, targetPath, volumeCapability };
  }

  get unpublishRequest() {
    return { volumeId: this.volumeId, targetPath: this.targetPath };
  }

  get statsRequest() {
    return { volumeId: this.volumeId, volumePath: this.targetPath };
  }

  get unstageRequest() {
    return { volumeId: this.volumeId, stagingTargetPath: this.stagingPath };
  }

  async stage(): Promise<void> {
    await this.#must('NodeStageVolume', this.stageRequest);
  }

  async publish(): Promise<void> {
    await this.#must('NodePublishVolume', this.publishRequest);
  }

  async unpublish(): Promise<void> {
    await this.#must('NodeUnpublishVolume', this.unpublishRequest);
  }

  async unstage(): Promise<void> {
    await this.#must('NodeUnstageVolume', this.unstageRequest);
  }

  /** What a pod writes, as far as it is needed to know it again. */
  write(text: string): void {
    if (this.use === 'block') writeBlock(this.targetPath, text);
    else writeFileSync(join(this.targetPath, 'file'), text, { flush: true });
  }

  read(): string {
    if (this.use !== 'block') return readFileSync(join(this.targetPath, 'file'), 'utf8');
    const device = openSync(this.targetPath, 'r');
    const bytes = Buffer.alloc(BLOCK_BYTES);
    readSync(device, bytes, 0, BLOCK_BYTES, 0);
    closeSync(device);
    return bytes.subarray(0, bytes.indexOf(0)).toString('utf8');
  }

  /** Nothing of it is on this machine any more. */
  get isGone(): boolean {
    const places = [this.stagingPath, this.targetPath];
    return !existsSync(this.targetPath) && !listMounts().some(({ mountPoint }) => places.includes(mountPoint));
  }

  /** Whether a file system, or the device, is seen at the target path. */
  get isShown(): boolean {
    if (!listMounts().some(({ mountPoint }) => mountPoint === this.targetPath)) return false;
    return this.use === 'block' ? statSync(this.targetPath).isBlockDevice() : statSync(this.targetPath).isDirectory();
  }

  /** Made again while the plugin itself is busy with the volume, as an orchestrator does. */
  async #must<Name extends NodeMethod>(method: Name, request: NodeRequest<Name>): Promise<void> {
    await eventually(`nothing else to be under way for ${method}`, BUSY_MS, async () => {
      try {
        await this.#node.call(method, request);
        return true;
      } catch (error) {
        if (isRpcError(error) && error.code === 'ABORTED') return false;
        throw new Error(`${method}: ${(error as Error).message}\n${this.#node.report}`, { cause: error });
      }
    });
  }
}

const BLOCK_BYTES = 4096;

/** The first 4 KiB of a device: `text`, and zeros. */
function writeBlock(path: string, text: string): void {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.write(text);
  writeFileSync(path, bytes, { flag: 'r+', flush: true });
}
