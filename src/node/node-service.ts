import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Logger } from '../logging/logger.ts';
import { isVolumeError, VolumeError } from '../volumes/errors.ts';
import { KeyedLock } from '../volumes/keyed-lock.ts';
import { bootId } from '../system/boot-id.ts';
import { blockDevice, isMountOf } from './kernel/block-device.ts';
import { mountTable } from './kernel/mount-table.ts';
import { mountsAt } from '../system/mountinfo.ts';
import { canonicalFolder, canonicalPath, existingFolder } from './kernel/paths.ts';
import type { NodeParts } from './node-parts.ts';
import type { Usage } from './staging/capability.ts';
import { addressOf, findVolume } from './staging/known-volume.ts';
import { Publishing } from './staging/publishing.ts';
import type { StagedVolume } from './staging/staged-volume.ts';
import { Staging, type StageRequest } from './staging/staging.ts';
import { Unstaging, type UnstagingOptions } from './staging/unstaging.ts';

/** What a caller names when it wants a volume shown to a pod. Paths as they came. */
export interface NodePublishRequest {
  readonly volumeId: string;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly usage: Usage;
  readonly readOnly: boolean;
}

/**
 * Stage, publish and their reverses: one operation at a time on each target. A caller that comes while another one's work goes on is
 * told so, whether or not that other one still waits for it.
 */
export class NodeService {
  readonly lock = new KeyedLock();
  /** When a call last worked on a target's volume, by address and the steady clock. */
  readonly #calledMs = new Map<string, number>();
  readonly #parts: NodeParts;
  readonly #staging: Staging;
  readonly #unstaging: Unstaging;
  readonly #publishing: Publishing;

  constructor(parts: NodeParts, options: UnstagingOptions) {
    this.#parts = parts;
    this.#unstaging = new Unstaging(parts, options);
    this.#staging = new Staging(parts, this.#unstaging);
    this.#publishing = new Publishing(parts);
  }

  /** @throws VolumeError */
  async stage(request: Omit<StageRequest, 'stagingPath'> & { readonly stagingPath: string }, logger: Logger): Promise<void> {
    const address = addressOf(request.volumeId);
    await findVolume(this.#parts.store, request.volumeId);
    const stagingPath = await existingFolder(request.stagingPath);
    await this.#alone(address, async () => {
      const present = await this.#recall(request.volumeId, address, stagingPath);
      await this.#staging.stage({ ...request, stagingPath }, present, logger);
    });
  }

  /** @throws VolumeError; not for what is not staged */
  async unstage(volumeId: string, path: string, logger: Logger): Promise<void> {
    const address = addressOf(volumeId);
    // Where somebody has removed the folder, the volume may be attached all the same.
    const stagingPath = (await canonicalFolder(path)) ?? resolve(path);
    if ((await this.#isDeleted(volumeId, address)) && mountsAt(await mountTable(), stagingPath).length === 0) return;
    await this.#alone(address, async () => {
      const staged = await this.#recall(volumeId, address, stagingPath);
      if (staged?.volumeId !== volumeId || staged.stagingPath !== stagingPath) {
        if (staged === undefined) await this.#withdrawLost(volumeId, address);
        logger.info(`${volumeId} is not staged at ${stagingPath}`);
        return;
      }
      await this.#unstaging.takeDown(staged, logger);
    });
  }

  /** @throws VolumeError */
  async publish(request: NodePublishRequest, logger: Logger): Promise<void> {
    const address = addressOf(request.volumeId);
    await findVolume(this.#parts.store, request.volumeId);
    const stagingPath = await canonicalFolder(request.stagingPath);
    const targetPath = await canonicalPath(request.targetPath);
    if (stagingPath === undefined || targetPath === undefined) {
      const missing = stagingPath === undefined ? request.stagingPath : request.targetPath;
      throw new VolumeError(
        'failed-precondition',
        `cannot publish ${request.volumeId}: the folder above ${missing} is not there`,
      );
    }
    const publish = { ...request, stagingPath, targetPath };
    await this.#alone(address, async () => this.#publishing.publish(publish, this.#parts.state.get(address), logger));
  }

  /** @throws VolumeError; not for what is not published */
  async unpublish(volumeId: string, path: string, logger: Logger): Promise<void> {
    const address = addressOf(volumeId);
    const targetPath = await canonicalPath(path);
    if (targetPath === undefined) return;
    if ((await this.#isDeleted(volumeId, address)) && !existsSync(targetPath)) return;
    await this.#alone(address, async () => {
      const staged = await this.#recall(volumeId, address, '');
      const known = staged?.volumeId === volumeId ? staged : undefined;
      await this.#publishing.unpublish(volumeId, targetPath, known, logger);
    });
  }

  /** When a call last worked on the volume at an address, by the steady clock; -Infinity for never. */
  calledMs(address: string): number {
    return this.#calledMs.get(address) ?? -Infinity;
  }

  /**
   * Takes down what is left of a stage that failed, or of an unstage. What is staged stays.
   * @throws VolumeError, `aborted` while something else works on it
   */
  async takeDownLeft(address: string, logger: Logger): Promise<void> {
    await this.lock.run(`volume ${address}`, async () => {
      const left = this.#parts.state.get(address);
      if (left !== undefined && left.phase !== 'staged') await this.#unstaging.takeDown(left, logger);
    });
  }

  /** Whether a volume is neither known nor remembered: its target may be wiped in this moment, for which nobody has to wait. */
  async #isDeleted(volumeId: string, address: string): Promise<boolean> {
    if (this.#parts.state.get(address)?.volumeId === volumeId) return false;
    try {
      await findVolume(this.#parts.store, volumeId);
      return false;
    } catch (error) {
      if (isVolumeError(error) && error.code === 'not-found') return true;
      throw error;
    }
  }

  /** Of a volume whose state was lost while the initiator could not say what is attached, the node's record still says that it is here. */
  async #withdrawLost(volumeId: string, address: string): Promise<void> {
    const { initiator, recorder } = this.#parts;
    if (recorder.staged[volumeId] === undefined) return;
    if ((await initiator.attachment(address)) === undefined) await recorder.withdraw(volumeId);
  }

  async #alone(address: string, work: () => Promise<void>): Promise<void> {
    const noteCall = (): unknown => this.#calledMs.set(address, performance.now());
    noteCall();
    await this.lock.run(`volume ${address}`, work).finally(noteCall);
  }

  /** What is remembered of a volume; where the state directory was lost, what the initiator still has attached. */
  async #recall(volumeId: string, address: string, stagingPath: string): Promise<StagedVolume | undefined> {
    const { state, initiator, recorder } = this.#parts;
    const remembered = state.get(address);
    if (remembered !== undefined) return remembered;
    const attachment = await initiator.attachment(address).catch(() => undefined);
    if (attachment?.device.startsWith('/dev/') !== true) return undefined;
    const device = await blockDevice(attachment.device);
    const isMounted = (await mountTable()).some((mount) => isMountOf(mount, device));
    const { readOnly, deadSeconds, maxOutstanding, interfaces } = attachment;
    return {
      volumeId,
      address,
      bootId: bootId(),
      // Not known well enough to go on with it, but to take it down.
      phase: 'unstaging',
      stagingPath,
      access: isMounted ? { kind: 'mount', fsType: '', mountFlags: [] } : { kind: 'block' },
      accessMode: 'UNKNOWN',
      epoch: recorder.staged[volumeId]?.epoch ?? 0,
      attach: { readOnly, deadSeconds, maxOutstanding, interfaces },
      isReserved: !readOnly,
      device: device.path,
      deviceNumber: device.number,
      fsType: '',
      publications: [],
    };
  }
}
