import { resolve } from 'node:path';
import type { VolumeUsage } from '../csi/messages.ts';
import { VolumeError } from '../volumes/errors.ts';
import { blockDevice } from './kernel/block-device.ts';
import { mountTable } from './kernel/mount-table.ts';
import { canonicalFolder, canonicalPath } from './kernel/paths.ts';
import { fileSystemUsage } from './kernel/usage.ts';
import type { NodeParts } from './node-parts.ts';
import { addressOf, findVolume } from './staging/known-volume.ts';
import type { StagedVolume } from './staging/staged-volume.ts';
import { isShownAt } from './staging/unstaging.ts';

/**
 * The volume as it is staged or published at a path.
 * @throws VolumeError `not-found` when it is not there
 */
export async function volumeAt({ store, state }: NodeParts, volumeId: string, path: string): Promise<StagedVolume> {
  const staged = state.get(addressOf(volumeId));
  if (staged?.volumeId !== volumeId) {
    await findVolume(store, volumeId);
    throw new VolumeError('not-found', `volume ${volumeId} is not on this node`);
  }
  const canonical = path.startsWith('/') && !isInside(staged, path) ? await canonicalPath(path) : undefined;
  const isThere = canonical !== undefined && (await isAt(staged, canonical));
  if (!isThere) throw new VolumeError('not-found', `volume ${volumeId} is not at ${path}; it is staged at ${staged.stagingPath}`);
  return staged;
}

/** Below a place where the volume is: to follow such a path means to read from its disk, which may never answer. */
function isInside({ stagingPath, publications }: StagedVolume, path: string): boolean {
  const places = [stagingPath, ...publications.map(({ targetPath }) => targetPath)];
  return places.some((place) => resolve(path).startsWith(`${place}/`));
}

async function isAt(staged: StagedVolume, path: string): Promise<boolean> {
  if (staged.access.kind === 'block' && (await canonicalFolder(path)) === staged.stagingPath) return true;
  return isShownAt(await mountTable(), staged, path);
}

/**
 * How full a volume is. Answers within seconds, whatever the target does.
 * @throws VolumeError `not-found` when it is not at `path`; `unavailable` while its target is silent
 */
export async function volumeUsage(parts: NodeParts, volumeId: string, path: string): Promise<readonly VolumeUsage[]> {
  const staged = await volumeAt(parts, volumeId, path);
  if (staged.access.kind === 'block') {
    const { sizeBytes } = await blockDevice(staged.device);
    return [{ unit: 'BYTES', total: sizeBytes, available: 0, used: 0 }];
  }
  await requireAnswering(parts, staged);
  const usage = await fileSystemUsage(path);
  return [
    { unit: 'BYTES', total: usage.totalBytes, available: usage.availableBytes, used: usage.usedBytes },
    {
      unit: 'INODES',
      total: usage.totalInodes,
      available: usage.availableInodes,
      used: usage.totalInodes - usage.availableInodes,
    },
  ];
}

/** A file system may wait for its disk when it is asked anything. */
async function requireAnswering({ initiator }: NodeParts, { volumeId, address }: StagedVolume): Promise<void> {
  const attachment = await initiator.attachment(address);
  if (attachment === undefined) {
    throw new VolumeError(
      'unavailable',
      `cannot tell how full ${volumeId} is: the initiator has lost ${address}; stage the volume again`,
    );
  }
  if (attachment.state === 'up') return;
  const why = attachment.reason === '' ? '' : `: ${attachment.reason}`;
  throw new VolumeError('unavailable', `cannot tell how full ${volumeId} is: ${address} is ${attachment.state}${why}`);
}
