import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../logging/logger.ts';
import { isVolumeError, VolumeError } from '../../volumes/errors.ts';
import { crashPoint } from '../crash-points.ts';
import { blockDevice, deviceNumberAt, flushDevice, isMountOf, requireIdle, type BlockDevice } from '../kernel/block-device.ts';
import { unmount } from '../kernel/mount.ts';
import { mountTable } from '../kernel/mount-table.ts';
import { isCopyOf, mountsAt, type Mount } from '../../system/mountinfo.ts';
import type { NodeParts } from '../node-parts.ts';
import { parseVolumeId } from '../../volumes/volume-id.ts';
import { recordFingerprint } from './known-disk.ts';
import { findVolume } from './known-volume.ts';
import { releaseReservation } from './ownership.ts';
import { Silence } from './silence.ts';
import type { StagedVolume } from './staged-volume.ts';

export interface UnstagingOptions {
  /** A target that has been silent for so long while its volume is taken down is not waited for any longer: the call fails. */
  readonly deadAfterMs: number;
}

const LOOK_MS = 500;
const DETACH_MS = 15_000;
/** For reading what the disk holds; milliseconds, usually. */
const REMEMBER_MS = 10_000;

/** Takes down what was staged, or what is left of it: unmounts, detaches, forgets. Each step may have been done before. */
export class Unstaging {
  readonly #parts: NodeParts;
  readonly #options: UnstagingOptions;

  constructor(parts: NodeParts, options: UnstagingOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * The caller holds the target's lock.
   * @throws VolumeError `failed-precondition` while it is published to a pod or otherwise mounted; `unavailable`, `aborted`: call again
   */
  async takeDown(recorded: StagedVolume, logger: Logger): Promise<void> {
    const { state, recorder } = this.#parts;
    const staged = await this.#withoutLostDevice(recorded);
    const { address, volumeId } = staged;
    await this.#requireUnpublished(staged);
    const leaving = await state.saveLess({ ...staged, phase: 'unstaging' }, (message) => logger.warn(message));
    crashPoint('unstage-recorded');
    await this.#unmount(leaving, logger);
    crashPoint('unstage-unmounted');
    await this.#remember(leaving, logger);
    crashPoint('fingerprint-recorded');
    await this.#detach(leaving, logger);
    crashPoint('unstage-detached');
    // From here on its name and number may be another volume's.
    await state.saveLess({ ...leaving, device: '', deviceNumber: '' }, (message) => logger.warn(message));
    crashPoint('device-forgotten');
    if (leaving.isReserved && isStatic(leaving)) await this.#release(leaving, logger);
    crashPoint('unstage-released');
    await recorder.withdraw(volumeId);
    crashPoint('unstage-withdrawn');
    await state.remove(address);
    crashPoint('unstage-forgotten');
    logger.info(`unstaged ${volumeId} from ${staged.stagingPath}`, { target: address });
  }

  /**
   * A plugin that died after it detached has not recorded that, and another volume may have the name and number since: what is mounted
   * of that device is not this volume's.
   */
  async #withoutLostDevice(staged: StagedVolume): Promise<StagedVolume> {
    const { phase, device, address } = staged;
    if (phase !== 'unstaging' || device === '') return staged;
    const attachments = await this.#parts.initiator.attachments();
    const isLost = attachments.some((each) => each.device === device && each.name !== address);
    return isLost ? { ...staged, device: '', deviceNumber: '' } : staged;
  }

  /** Mounts that others made of the device keep it in use: pods that still run, a person. */
  async #requireUnpublished(staged: StagedVolume): Promise<void> {
    if (staged.device === '') return;
    const table = await mountTable();
    const shown = await Promise.all(staged.publications.map(async ({ targetPath }) => isShownAt(table, staged, targetPath)));
    const published = staged.publications.filter((_, index) => shown[index]).map(({ targetPath }) => targetPath);
    const own = ownMounts(table, staged);
    const here = own.filter(({ mountPoint }) => mountPoint === staged.stagingPath);
    const elsewhere = own.filter((mount) => !here.includes(mount) && !here.some((original) => isCopyOf(table, mount, original)));
    const users = new Set([...published, ...elsewhere.map(({ mountPoint }) => mountPoint)]);
    if (users.size === 0) return;
    throw new VolumeError(
      'failed-precondition',
      `cannot unstage ${staged.volumeId}: it is still shown at ${[...users].join(', ')}; call NodeUnpublishVolume for each first`,
    );
  }

  /** Waits until all is written, as long as the target is not dead. */
  async #unmount(staged: StagedVolume, logger: Logger): Promise<void> {
    const { stagingPath } = staged;
    for (;;) {
      const mounts = mountsAt(await mountTable(), stagingPath);
      const top = mounts.at(-1);
      if (top === undefined) return;
      if (!ownMounts([top], staged).includes(top)) {
        throw new VolumeError(
          'failed-precondition',
          `cannot unstage ${staged.volumeId}: ${top.source} (${top.fsType}) is mounted over it at ${stagingPath}; unmount that first`,
        );
      }
      await this.#unmountOnce(staged, logger);
    }
  }

  async #unmountOnce(staged: StagedVolume, logger: Logger): Promise<void> {
    const { volumeId, address, stagingPath } = staged;
    const silence = this.#silenceOf(address);
    let failure: Error | undefined;
    let hasEnded = false;
    const ending = unmount(stagingPath)
      .catch((error: unknown) => {
        failure = error as Error;
      })
      .finally(() => {
        hasEnded = true;
      });
    while (!hasEnded) {
      const { promise: look, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, LOOK_MS);
      await Promise.race([ending, look]);
      clearTimeout(timer);
      if (!hasEnded && (await silence.isDead())) await this.#giveUp(staged, silence, logger);
    }
    if (failure !== undefined) throw new VolumeError('unavailable', `cannot unmount ${volumeId}: ${failure.message}`);
  }

  #silenceOf(address: string): Silence {
    return new Silence(this.#parts.initiator, address, this.#options.deadAfterMs);
  }

  /**
   * What is left to be written can't be, and may be all there is of it: only a person may decide that it is lost. Where the volume has
   * been taken from this node, that is decided: what is held here must never get there.
   * @throws VolumeError `unavailable` while the volume is this node's
   */
  async #giveUp(staged: StagedVolume, silence: Silence, logger: Logger): Promise<void> {
    const { volumeId, address } = staged;
    if (await this.#isHeldHere(staged)) {
      throw new VolumeError(
        'unavailable',
        `cannot unstage ${volumeId}: its target ${address} is ${silence.description}, and what was last written waits for it. Bring the ` +
          'target back, and this goes on by itself. If it will never come back, run on this node: ' +
          `aoe-csi detach --force ${address}; what has not been written is lost then`,
      );
    }
    logger.error(
      `${volumeId} has been taken from this node, and ${address} is ${silence.description}: what was not written here is dropped`,
      { target: address },
    );
    await this.#parts.initiator.detach(address, true, DETACH_MS);
    silence.end();
  }

  /** Whether the volume is still published to this node as it was staged. */
  async #isHeldHere({ volumeId, epoch }: StagedVolume): Promise<boolean> {
    const { store, nodeId } = this.#parts;
    try {
      const { publications } = (await findVolume(store, volumeId)).record.value;
      return publications.some((each) => each.nodeId === nodeId && each.epoch === epoch);
    } catch (error) {
      if (isVolumeError(error) && error.code === 'not-found') return false;
      throw error;
    }
  }

  /**
   * Records what the disk holds, for whoever stages the volume next to know it again. It is not worth a delay, and nothing fails for
   * want of it: a volume that is dead, or taken over, or that was never staged for writing all the way, has no fingerprint.
   */
  async #remember(staged: StagedVolume, logger: Logger): Promise<void> {
    const { store, nodeId } = this.#parts;
    const { volumeId, address, epoch } = staged;
    const claim = parseVolumeId(volumeId)?.claim;
    if (staged.isWritten !== true || claim === undefined) return;
    try {
      const device = await this.#wholeDevice(staged);
      if (device === undefined) return;
      const timeoutMs = Math.min(REMEMBER_MS, this.#options.deadAfterMs);
      await requireIdle(device);
      await flushDevice(device, timeoutMs);
      const isOurs = await recordFingerprint(store, { address, claim }, { nodeId, epoch }, device, timeoutMs);
      if (!isOurs) logger.warn(`what ${volumeId} holds is not recorded: it is no longer published here`, { target: address });
    } catch (error) {
      if (!isVolumeError(error)) throw error;
      logger.warn(
        `what ${volumeId} holds could not be recorded; its disk is not compared when it is staged next: ${error.message}`,
        {
          target: address,
        },
      );
    }
  }

  /** The volume's device, if its target answers and it still is the one that was staged. */
  async #wholeDevice({ address, device, deviceNumber }: StagedVolume): Promise<BlockDevice | undefined> {
    const attachment = await this.#parts.initiator.attachment(address);
    if (attachment?.state !== 'up' || attachment.device !== device) return undefined;
    const found = await blockDevice(device);
    return found.number === deviceNumber ? found : undefined;
  }

  async #detach(staged: StagedVolume, logger: Logger): Promise<void> {
    const { address, device, deviceNumber } = staged;
    const { initiator } = this.#parts;
    const attachment = await initiator.attachment(address);
    if (attachment === undefined) return;
    if (device !== '' && attachment.device !== '' && (await deviceNumberAt(attachment.device)) !== deviceNumber) {
      logger.warn(`${address} is attached as ${attachment.device} now, not as ${device}`);
    }
    const silence = this.#silenceOf(address);
    const endMs = performance.now() + this.#options.deadAfterMs + DETACH_MS;
    for (;;) {
      try {
        await initiator.detach(address, false, DETACH_MS);
        return;
      } catch (error) {
        if (!isVolumeError(error) || performance.now() >= endMs) throw error;
        // An unmount that an earlier call has begun keeps the device, too, and ends with what it has to write.
        if (await silence.isDead()) await this.#giveUp(staged, silence, logger);
        // Somebody who only looks at the device (udev does) is gone in a moment.
        await sleep(LOOK_MS);
      }
    }
  }

  /**
   * A static volume's target is somebody else's, who may want to use it in other ways. Those of our own volumes stay reserved, and so
   * does one that is dead: nobody who has lost the volume gets in, and whoever stages it next takes the reservation over. The same while
   * another node has not said that it is done with the volume: when it was fenced off while it was silent, it may still hold writes.
   */
  async #release(staged: StagedVolume, logger: Logger): Promise<void> {
    const { address } = staged;
    try {
      const others = await this.#nodesThatMayWrite(staged);
      if (others.length > 0) {
        logger.warn(
          `${address} stays reserved for this node: ${others.join(', ')} had the volume before, and may still hold writes for it`,
          { target: address },
        );
      } else if (!(await releaseReservation(this.#parts.initiator, address))) {
        logger.warn(`${address} was reserved by others already`, { target: address });
      }
    } catch (error) {
      if (!isVolumeError(error)) throw error;
      logger.warn(`the reservation of ${address} could not be given back: ${error.message}`, { target: address });
    }
  }

  async #nodesThatMayWrite({ volumeId }: StagedVolume): Promise<readonly string[]> {
    const { store, nodeId } = this.#parts;
    const others = (await store.nodes.list()).filter(
      ({ name, value }) => name !== nodeId && value.staged[volumeId]?.fenced === false,
    );
    return others.map(({ name }) => name);
  }
}

function isStatic({ volumeId }: StagedVolume): boolean {
  return parseVolumeId(volumeId)?.claim === undefined;
}

/** Mounts of the volume's file system, wherever they are. */
export function ownMounts(table: readonly Mount[], { device, deviceNumber }: StagedVolume): Mount[] {
  return device === '' ? [] : table.filter((mount) => isMountOf(mount, { path: device, number: deviceNumber }));
}

/** Whether the volume is what is seen at a path. */
export async function isShownAt(table: readonly Mount[], staged: StagedVolume, path: string): Promise<boolean> {
  const top = mountsAt(table, path).at(-1);
  if (top === undefined) return false;
  if (staged.access.kind === 'mount') return ownMounts([top], staged).length > 0;
  return (await deviceNumberAt(path)) === staged.deviceNumber;
}
