import type { Logger } from '../../logging/logger.ts';
import { VolumeError } from '../../volumes/errors.ts';
import { staticClaimOf } from '../../volumes/claim.ts';
import { meetsFencing } from '../../volumes/fencing.ts';
import type { VolumeSettings } from '../../volumes/parameters.ts';
import type { PublicationRecord } from '../../volumes/records.ts';
import { crashPoint } from '../crash-points.ts';
import { FILE_SYSTEMS } from '../format/file-systems.ts';
import { prepareFileSystem, prepareRaw } from '../format/formatting.ts';
import { isFsType, type FsType } from '../format/verdict.ts';
import { attachDevice } from './attach-device.ts';
import { blockDevice, isMountOf, type BlockDevice } from '../kernel/block-device.ts';
import { mountDevice } from '../kernel/mount.ts';
import { mountTable } from '../kernel/mount-table.ts';
import { mountsAt, type Mount } from '../../system/mountinfo.ts';
import type { NodeParts } from '../node-parts.ts';
import { attachSettings } from './attach-settings.ts';
import { isExclusive, isReader, whyIncompatible, type Usage } from './capability.ts';
import { requireSameContents, withdrawFingerprint } from './known-disk.ts';
import { findVolume, publicationFor, settingsFor, type KnownVolume } from './known-volume.ts';
import { giveVolumeBack } from './late-reservation.ts';
import { isReserved, letReadersIn, requireClaim, requireIdentity, reserveForUs } from './ownership.ts';
import type { StagedVolume } from './staged-volume.ts';
import type { Unstaging } from './unstaging.ts';

export interface StageRequest {
  readonly volumeId: string;
  /** Canonical; a directory. */
  readonly stagingPath: string;
  readonly usage: Usage;
  readonly publishContext: Readonly<Record<string, string>>;
  readonly volumeContext: Readonly<Record<string, string>>;
  /** Until the caller's deadline. */
  readonly remainingMs: () => number;
}

/** All that is known at the start of a stage. */
interface Plan {
  readonly volume: KnownVolume;
  readonly publication: PublicationRecord;
  readonly settings: VolumeSettings;
  readonly request: StageRequest;
}

/** A target is waited for as long as the caller waits, but no longer than this. */
const ATTACH_MS_MAX = 120_000;
/** Time for what comes after an attach to be undone before the caller's deadline. */
const ATTACH_MARGIN_MS = 1_000;
const ATTACH_MS_MIN = 1_000;
/** Readers that come while others are let in are let in, too; so often at most. */
const READER_ROUNDS_MAX = 5;

/** Makes a published volume usable on this node: checks whose it is, keeps others out, attaches, formats if that is right, mounts. */
export class Staging {
  readonly #parts: NodeParts;
  readonly #unstaging: Unstaging;

  constructor(parts: NodeParts, unstaging: Unstaging) {
    this.#parts = parts;
    this.#unstaging = unstaging;
  }

  /**
   * Idempotent, also after a crash at any step. What fails is undone. The caller holds the target's lock.
   * @param present what is there of the target's volume on this node
   * @throws VolumeError
   */
  async stage(request: StageRequest, present: StagedVolume | undefined, logger: Logger): Promise<void> {
    const { store, nodeId } = this.#parts;
    const volume = await findVolume(store, request.volumeId);
    const publication = publicationFor(volume, nodeId, request.publishContext['epoch']);
    const plan = { volume, publication, settings: settingsFor(volume, request.volumeContext), request };
    if (present !== undefined && (await this.#isStaged(present, plan, logger))) return;
    try {
      await this.#build(plan, logger);
    } catch (error) {
      await this.#undo(volume.address, logger);
      throw error;
    }
  }

  /**
   * Whether the volume is staged as it is wanted. What is left of another stage is taken down.
   * @throws VolumeError `already-exists` when it is staged in another way, `failed-precondition` at another place
   */
  async #isStaged(present: StagedVolume, { volume, publication, request }: Plan, logger: Logger): Promise<boolean> {
    const { volumeId, stagingPath } = request;
    if (present.volumeId === volumeId && present.phase === 'staged') {
      const usage = { access: present.access, mode: request.usage.mode };
      const different = whyIncompatible({ ...usage, mode: present.accessMode as Usage['mode'] }, request.usage);
      if (present.stagingPath !== stagingPath) {
        throw new VolumeError(
          'failed-precondition',
          `cannot stage ${volumeId} at ${stagingPath}: it is staged at ${present.stagingPath}; unstage it there first`,
        );
      }
      if (different !== undefined) {
        throw new VolumeError('already-exists', `cannot stage ${volumeId} at ${stagingPath}: it is staged there ${different}`);
      }
      if (present.epoch === publication.epoch && (await this.#isAlive(present))) return true;
    }
    logger.warn(`what is left of an earlier stage of ${present.volumeId} at ${present.stagingPath} is taken down`);
    await this.#unstaging.takeDown(present, logger);
    if (present.volumeId !== volumeId || present.epoch !== publication.epoch) {
      logger.info(`staging ${volume.volumeId} anew`);
    }
    return false;
  }

  /** The device is still the initiator's, and what was mounted still is. */
  async #isAlive(present: StagedVolume): Promise<boolean> {
    const attachment = await this.#parts.initiator.attachment(present.address);
    if (attachment?.device !== present.device) return false;
    const device = await blockDevice(present.device);
    if (device.number !== present.deviceNumber) return false;
    if (present.access.kind === 'block') return true;
    const top = mountsAt(await mountTable(), present.stagingPath).at(-1);
    return top !== undefined && isMountOf(top, device);
  }

  async #build(plan: Plan, logger: Logger): Promise<void> {
    const { state, store, recorder, initiator } = this.#parts;
    const { address, volumeId } = plan.volume;
    let staged = await state.save(await this.#plan(plan));
    crashPoint('stage-recorded');
    await this.#requireOurs(plan);
    await recorder.announce(volumeId, staged.epoch);
    crashPoint('stage-announced');
    await this.#requireStillPublished(plan);
    if (staged.isReserved) {
      await reserveForUs(initiator, address);
      await this.#requireStillOurs(plan);
    } else if (plan.volume.record.value.fencing === 'reserve' || (await isReserved(initiator, address))) {
      await this.#letReadersIn(plan);
      await this.#requireStillPublished(plan);
    }
    crashPoint('stage-fenced');
    const device = await this.#attach(plan, staged);
    staged = await state.save({ ...staged, device: device.path, deviceNumber: device.number });
    crashPoint('stage-attached');
    await requireSameContents(address, (await findVolume(store, volumeId)).claim, device);
    crashPoint('stage-compared');
    const fsType = await this.#use(plan, staged, device, logger);
    await state.save({ ...staged, fsType, phase: 'staged', isWritten: !staged.attach.readOnly });
    crashPoint('stage-done');
    logger.info(`staged ${volumeId} at ${staged.stagingPath}`, { device: device.path, target: address });
  }

  async #plan({ volume, publication, settings, request }: Plan): Promise<StagedVolume> {
    const { nodeId, bootId, initiator } = this.#parts;
    const { access, mode } = request.usage;
    const readOnly = publication.readOnly || isReader(mode) || (access.kind === 'mount' && access.mountFlags.includes('ro'));
    const { fencing } = volume.record.value;
    if (!meetsFencing(fencing, settings.fencing)) {
      throw new VolumeError(
        'failed-precondition',
        `cannot stage ${volume.volumeId} on node ${nodeId}: fencing '${settings.fencing}' is demanded, and target ${volume.address} can do '${fencing}' only`,
      );
    }
    return {
      volumeId: volume.volumeId,
      address: volume.address,
      bootId,
      phase: 'staging',
      stagingPath: request.stagingPath,
      access,
      accessMode: mode,
      epoch: publication.epoch,
      attach: await attachSettings(initiator, volume.address, settings, readOnly),
      isReserved: fencing === 'reserve' && isExclusive(mode) && !readOnly,
      device: '',
      deviceNumber: '',
      fsType: '',
      publications: [],
    };
  }

  /** Before anything is changed on the target. */
  async #requireOurs({ volume, settings }: Plan): Promise<void> {
    const { initiator, clusterId } = this.#parts;
    const { address, record, claim } = volume;
    await requireIdentity(initiator, address, record.value.identity);
    const ofStatic = settings.claim === 'yes' ? staticClaimOf(clusterId, address) : undefined;
    await requireClaim(initiator, address, clusterId, claim === undefined ? ofStatic : claim.claim);
  }

  /**
   * Once more after the announcement: either the controller sees it when it takes the publication away, or it is seen here that it
   * was taken away before. Nothing has been written yet.
   */
  async #requireStillPublished({ volume, publication }: Plan): Promise<void> {
    const now = await findVolume(this.#parts.store, volume.volumeId);
    publicationFor(now, this.#parts.nodeId, String(publication.epoch));
  }

  /** A node that stalled before it reserved has taken the target from whoever was given it meanwhile: it gives it back. */
  async #requireStillOurs(plan: Plan): Promise<void> {
    try {
      await this.#requireStillPublished(plan);
    } catch (error) {
      await giveVolumeBack(this.#parts, plan.volume.address);
      throw error;
    }
  }

  /** Once more where the volume has been published to another reader meanwhile, who may have let itself in and is not in our list. */
  async #letReadersIn({ volume: { volumeId, address } }: Plan): Promise<void> {
    const { store, initiator } = this.#parts;
    const readers = async (): Promise<readonly string[]> => {
      const { publications } = (await findVolume(store, volumeId)).record.value;
      const nodes = await Promise.all(publications.map(async ({ nodeId }) => store.nodes.get(nodeId)));
      return nodes.flatMap((node) => node?.value.macs ?? []);
    };
    let before = await readers();
    for (let round = 0; round < READER_ROUNDS_MAX; round++) {
      await letReadersIn(initiator, address, before);
      const after = await readers();
      if (after.every((mac) => before.includes(mac))) return;
      before = after;
    }
    throw new VolumeError('aborted', `cannot stage ${volumeId} yet: its readers change all the time; call again`);
  }

  async #attach({ volume, request }: Plan, staged: StagedVolume): Promise<BlockDevice> {
    const { initiator } = this.#parts;
    const { address, record } = volume;
    const waitMs = Math.max(Math.min(request.remainingMs() - ATTACH_MARGIN_MS, ATTACH_MS_MAX), ATTACH_MS_MIN);
    const device = await attachDevice(initiator, address, staged.attach, waitMs);
    // What answers an attach is what will do the I/O: looked at once more.
    await requireIdentity(initiator, address, record.value.identity);
    return device;
  }

  /** Returns the file system. */
  async #use(plan: Plan, staged: StagedVolume, device: BlockDevice, logger: Logger): Promise<string> {
    const { store, nodeId } = this.#parts;
    const { readOnly } = staged.attach;
    const { volume } = plan;
    const { epoch } = staged;
    const beforeWriting = async (): Promise<void> => {
      await withdrawFingerprint(store, volume, { nodeId, epoch });
      crashPoint('fingerprint-withdrawn');
    };
    const request = { volume, nodeId, epoch, device, readOnly, beforeWriting };
    if (staged.access.kind === 'block') {
      await prepareRaw(store, request);
      return '';
    }
    const { fsType: wanted, mountFlags } = staged.access;
    await requireNoMount(staged.stagingPath);
    const fsType = await prepareFileSystem(store, { ...request, settings: plan.settings, fsType: wanted }, logger);
    const options = readOnly ? [...new Set(['ro', ...mountFlags])] : mountFlags;
    await mounting(volume.volumeId, async () => mountDevice(device.path, staged.stagingPath, fsType, options));
    crashPoint('stage-mounted');
    await requireOnly(staged.stagingPath, device);
    if (!readOnly) await grow(fsType, device, staged, logger);
    return fsType;
  }

  /** The error of the stage is what counts; what can't be undone now is by the next call, or by Leftovers. */
  async #undo(address: string, logger: Logger): Promise<void> {
    const { state } = this.#parts;
    try {
      const left = state.get(address);
      if (left !== undefined) await this.#unstaging.takeDown(left, logger);
    } catch (error) {
      logger.warn(`what a failed stage has left could not be taken down yet: ${(error as Error).message}`);
    }
  }
}

/** The target may have grown since. A file system that can't follow is as good as before; NodeExpandVolume says why it can't. */
async function grow(fsType: FsType, device: BlockDevice, { volumeId, stagingPath }: StagedVolume, logger: Logger): Promise<void> {
  // What can only grow before it is mounted has done so, or has said why not.
  if (FILE_SYSTEMS[fsType].whyNotMounted() !== undefined) return;
  await FILE_SYSTEMS[fsType].grow(device, stagingPath).catch((error: unknown) => {
    logger.warn(`the ${fsType} of ${volumeId} does not take all of ${device.path}: ${(error as Error).message}`);
  });
}

async function requireNoMount(path: string): Promise<void> {
  const [found] = mountsAt(await mountTable(), path);
  if (found !== undefined) throw stacked(path, found);
}

/** After a mount: that it is there, alone, and shows this device and no other. */
async function requireOnly(path: string, device: BlockDevice): Promise<void> {
  const mounts = mountsAt(await mountTable(), path);
  const stranger = mounts.find((mount) => !isMountOf(mount, device));
  if (stranger !== undefined) throw stacked(path, stranger);
  if (mounts.length !== 1) {
    throw new VolumeError(
      'internal',
      `cannot use ${path}: ${device.path} is mounted there ${mounts.length} times; look at it by hand`,
    );
  }
}

function stacked(path: string, { fsType, source, deviceNumber }: Mount): VolumeError {
  return new VolumeError(
    'failed-precondition',
    `cannot mount at ${path}: ${fsType} from ${source} (${deviceNumber}) is mounted there; unmount it if nobody uses it`,
  );
}

async function mounting(volumeId: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new VolumeError('failed-precondition', `cannot mount ${volumeId}: ${(error as Error).message}`);
  }
}

/** For others who have to name the file system of a staged volume. */
export function fileSystemOf({ fsType }: StagedVolume): (typeof FILE_SYSTEMS)[keyof typeof FILE_SYSTEMS] | undefined {
  return isFsType(fsType) ? FILE_SYSTEMS[fsType] : undefined;
}
