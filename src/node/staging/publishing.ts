import type { Logger } from '../../logging/logger.ts';
import { runWell } from '../kernel/run.ts';
import { VolumeError } from '../../volumes/errors.ts';
import { crashPoint } from '../crash-points.ts';
import { bindMount, unmount } from '../kernel/mount.ts';
import { mountTable } from '../kernel/mount-table.ts';
import { mountsAt, type Mount } from '../../system/mountinfo.ts';
import { makeMountPoint, removeMountPoint } from '../kernel/paths.ts';
import type { NodeParts } from '../node-parts.ts';
import { isReader, whyIncompatible, type Usage } from './capability.ts';
import type { StagedVolume } from './staged-volume.ts';
import { isShownAt, ownMounts } from './unstaging.ts';

export interface PublishRequest {
  readonly volumeId: string;
  /** Canonical. */
  readonly stagingPath: string;
  /** Canonical. */
  readonly targetPath: string;
  readonly usage: Usage;
  readonly readOnly: boolean;
}

/** Attributes of a mount, not of its file system, that a mount of the same shall have too. */
const INHERITED = new Set(['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime', 'strictatime', 'nosymfollow']);
const SETRO_MS = 10_000;

/** Shows a staged volume at the places where pods look for it. */
export class Publishing {
  readonly #parts: NodeParts;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /**
   * Idempotent. The caller holds the target's lock.
   * @throws VolumeError `failed-precondition` when it is not staged there, or may be shown once only and is; `already-exists` when it
   * is shown at this path in another way
   */
  async publish(request: PublishRequest, staged: StagedVolume | undefined, logger: Logger): Promise<void> {
    const { state } = this.#parts;
    const { volumeId, targetPath } = request;
    const ready = this.#requireStaged(request, staged);
    const readOnly = request.readOnly || ready.attach.readOnly || isReader(request.usage.mode);
    await this.#requireAttached(ready);
    const table = await mountTable();
    requireUsable(table, ready, readOnly);
    const before = ready.publications.find((publication) => publication.targetPath === targetPath);
    if (before !== undefined && before.readOnly !== readOnly) {
      const how = before.readOnly ? 'for reading only' : 'for writing, too';
      throw new VolumeError(
        'already-exists',
        `cannot publish ${volumeId} at ${targetPath}: it is published there ${how}; unpublish it first`,
      );
    }
    await requireNoOther(table, ready, request, readOnly);
    const isShown = await isShownAt(table, ready, targetPath);
    if (isShown && before !== undefined) return;
    if (!isShown) requireFree(table, targetPath);
    const others = ready.publications.filter((publication) => publication.targetPath !== targetPath);
    await state.save({ ...ready, publications: [...others, { targetPath, readOnly }] });
    crashPoint('publish-recorded');
    if (!isShown) await this.#showOrUndo({ ...ready, publications: others }, table, targetPath, readOnly);
    crashPoint('publish-mounted');
    logger.info(`published ${volumeId} at ${targetPath}${readOnly ? ' for reading only' : ''}`, { device: ready.device });
  }

  /**
   * Idempotent: what is not there is not there. Removes the path, too. The caller holds the target's lock.
   * @param staged undefined when nothing is known of the volume: then what is mounted is not touched
   */
  async unpublish(volumeId: string, targetPath: string, staged: StagedVolume | undefined, logger: Logger): Promise<void> {
    const { state } = this.#parts;
    const isOurs = staged?.publications.some((publication) => publication.targetPath === targetPath) === true;
    for (;;) {
      const table = await mountTable();
      const top = mountsAt(table, targetPath).at(-1);
      if (top === undefined) break;
      if (!isOurs && (staged === undefined || !(await isShownAt(table, staged, targetPath)))) {
        throw new VolumeError(
          'failed-precondition',
          `cannot unpublish ${volumeId} from ${targetPath}: what is mounted there is ${top.fsType} from ${top.source}, not this volume`,
        );
      }
      try {
        await unmount(targetPath);
      } catch (error) {
        throw new VolumeError('unavailable', `cannot unpublish ${volumeId} from ${targetPath}: ${(error as Error).message}`);
      }
    }
    crashPoint('unpublish-unmounted');
    await removeMountPoint(targetPath);
    crashPoint('unpublish-removed');
    if (staged === undefined || !isOurs) return;
    const publications = staged.publications.filter((publication) => publication.targetPath !== targetPath);
    await state.saveLess({ ...staged, publications }, (message) => logger.warn(message));
    if (staged.access.kind === 'block' && publications.length === 0 && !staged.attach.readOnly)
      await setDeviceReadOnly(staged, false);
    logger.info(`unpublished ${volumeId} from ${targetPath}`);
  }

  /** What is left of a volume that the initiator has lost fails all I/O, and its device's number may be another volume's by now. */
  async #requireAttached({ volumeId, address, device }: StagedVolume): Promise<void> {
    const attachment = await this.#parts.initiator.attachment(address);
    if (attachment?.device === device) return;
    const now = attachment === undefined ? 'is no longer attached' : `is attached as ${attachment.device || 'nothing yet'} now`;
    throw new VolumeError(
      'failed-precondition',
      `cannot publish ${volumeId}: it was staged as ${device}, but ${address} ${now}; stop its pods on this node, and stage it anew`,
    );
  }

  #requireStaged({ volumeId, stagingPath, usage }: PublishRequest, staged: StagedVolume | undefined): StagedVolume {
    if (staged?.volumeId !== volumeId || staged.phase !== 'staged' || staged.stagingPath !== stagingPath) {
      throw new VolumeError(
        'failed-precondition',
        `cannot publish ${volumeId}: it is not staged at ${stagingPath}; call NodeStageVolume first`,
      );
    }
    const different = whyIncompatible({ access: staged.access, mode: staged.accessMode as Usage['mode'] }, usage);
    if (different === undefined) return staged;
    throw new VolumeError(
      'failed-precondition',
      `cannot publish ${volumeId} so: it is staged ${different}; stage it in the same way`,
    );
  }

  async #showOrUndo(before: StagedVolume, table: readonly Mount[], targetPath: string, readOnly: boolean): Promise<void> {
    try {
      await this.#show(before, table, targetPath, readOnly);
    } catch (error) {
      if (mountsAt(await mountTable(), targetPath).length === 0) {
        await removeMountPoint(targetPath).catch(() => undefined);
        await this.#parts.state.saveLess(before, () => undefined);
      }
      throw error;
    }
  }

  async #show(staged: StagedVolume, table: readonly Mount[], targetPath: string, readOnly: boolean): Promise<void> {
    const { volumeId, access, device, stagingPath } = staged;
    await makeMountPoint(targetPath, access.kind === 'mount' ? 'folder' : 'file');
    crashPoint('publish-placed');
    try {
      if (access.kind === 'mount') {
        const [source] = ownMounts(mountsAt(table, stagingPath), staged);
        const options = readOnly ? ['ro', ...source.options.filter((option) => INHERITED.has(option))] : [];
        await bindMount(stagingPath, targetPath, options);
      } else {
        // A read-only mount of a device node keeps nobody from writing to the device: the device itself has to be.
        if (!staged.attach.readOnly) await setDeviceReadOnly(staged, readOnly);
        await bindMount(device, targetPath, []);
      }
    } catch (error) {
      throw new VolumeError('internal', `cannot publish ${volumeId} at ${targetPath}: ${(error as Error).message}`);
    }
    if (await isShownAt(await mountTable(), staged, targetPath)) return;
    throw new VolumeError(
      'internal',
      `cannot publish ${volumeId} at ${targetPath}: something else is seen there after the mount`,
    );
  }
}

/** That a mounted volume's file system is there, and can be written if it shall be. */
function requireUsable(table: readonly Mount[], staged: StagedVolume, readOnly: boolean): void {
  if (staged.access.kind === 'block') return;
  const top = mountsAt(table, staged.stagingPath).at(-1);
  if (top === undefined || ownMounts([top], staged).length === 0) {
    throw new VolumeError(
      'failed-precondition',
      `cannot publish ${staged.volumeId}: nothing of it is mounted at ${staged.stagingPath}; stage it again`,
    );
  }
  if (readOnly || !isBroken(top)) return;
  throw new VolumeError(
    'failed-precondition',
    `cannot publish ${staged.volumeId} for writing: its ${top.fsType} can only be read since a write has failed; look for errors in ` +
      "the kernel's log, stop its pods on this node, and stage it anew",
  );
}

/** ext4 and btrfs turn read-only, and XFS shuts down, when a write has failed. */
export function isBroken({ superOptions }: Mount): boolean {
  return superOptions.some((option) => option === 'ro' || option === 'shutdown' || option === 'emergency_ro');
}

/** CSI: a second NodePublishVolume of one volume on one node, at another path. */
async function requireNoOther(
  table: readonly Mount[],
  staged: StagedVolume,
  { volumeId, targetPath, usage }: PublishRequest,
  readOnly: boolean,
): Promise<void> {
  const others = staged.publications.filter((publication) => publication.targetPath !== targetPath);
  const shown = await Promise.all(others.map(async (other) => isShownAt(table, staged, other.targetPath)));
  const other = others.find((_, index) => shown[index]);
  if (other === undefined) return;
  if (usage.mode === 'SINGLE_NODE_SINGLE_WRITER') {
    throw new VolumeError(
      'failed-precondition',
      `cannot publish ${volumeId} at ${targetPath}: it may have one user only, and is published at ${other.targetPath}`,
    );
  }
  if (staged.access.kind === 'block' && other.readOnly !== readOnly) {
    throw new VolumeError(
      'failed-precondition',
      `cannot publish ${volumeId} at ${targetPath}: a device is read-only for all or for none, and ${other.targetPath} is ${other.readOnly ? 'read-only' : 'writable'}`,
    );
  }
}

/** Nothing is stacked on what others have mounted. */
function requireFree(table: readonly Mount[], path: string): void {
  const [found] = mountsAt(table, path);
  if (found === undefined) return;
  throw new VolumeError(
    'failed-precondition',
    `cannot publish at ${path}: ${found.fsType} from ${found.source} is mounted there`,
  );
}

async function setDeviceReadOnly({ device }: StagedVolume, readOnly: boolean): Promise<void> {
  await runWell('blockdev', [readOnly ? '--setro' : '--setrw', device], { timeoutMs: SETRO_MS });
}
