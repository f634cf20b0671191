import type {
  NodeGetStorageHealthResponseStorageBackendHealth,
  VolumeHealthErrorType,
  VolumeHealthVolumeHealthEntry,
} from '../csi/messages.ts';
import type { AttachmentMessage } from '../initiator/control-messages.ts';
import type { Init } from '../rpc/message-types.ts';
import { isVolumeError } from '../volumes/errors.ts';
import { mountTable } from './kernel/mount-table.ts';
import { mountsAt } from '../system/mountinfo.ts';
import type { NodeParts } from './node-parts.ts';
import { addressOf, findVolume } from './staging/known-volume.ts';
import { isBroken } from './staging/publishing.ts';
import type { StagedVolume } from './staging/staged-volume.ts';

type VolumeStatus = Init<VolumeHealthVolumeHealthEntry>;
type StorageStatus = Init<NodeGetStorageHealthResponseStorageBackendHealth>;

/** What the initiator's words for a volume's state mean to its users. `up` is health. */
const STATES: Readonly<Record<string, { readonly status: VolumeHealthErrorType; readonly reason: string }>> = {
  attaching: { status: 'INACCESSIBLE', reason: 'TargetNotResponding' },
  down: { status: 'INACCESSIBLE', reason: 'TargetNotResponding' },
  mismatch: { status: 'INACCESSIBLE', reason: 'AnotherDisk' },
  fenced: { status: 'INACCESSIBLE', reason: 'Fenced' },
};

/**
 * How a volume is on this node, from what is known anyway: no target is asked, no file system touched.
 * @throws VolumeError `not-found` for an unknown id
 */
export async function volumeHealth(parts: NodeParts, volumeId: string): Promise<readonly VolumeStatus[]> {
  const staged = parts.state.get(addressOf(volumeId));
  // Asked also for volumes whose staging has failed: there is nothing to say of those here.
  if (staged?.volumeId !== volumeId) {
    await findVolume(parts.store, volumeId);
    return [];
  }
  const attachment = await parts.initiator.attachment(staged.address);
  return [...attachmentStatus(staged, attachment), ...(await mountStatus(staged))];
}

function attachmentStatus({ address, device }: StagedVolume, attachment: AttachmentMessage | undefined): VolumeStatus[] {
  if (attachment === undefined) {
    const message = `the initiator has lost ${address}: I/O to ${device} fails until the volume is staged again`;
    return [{ status: 'INACCESSIBLE', reason: 'DeviceLost', message }];
  }
  const { state, reason } = attachment;
  const meaning = STATES[state];
  return meaning === undefined ? [] : [{ ...meaning, message: `${address} is ${state}${reason === '' ? '' : `: ${reason}`}` }];
}

async function mountStatus(staged: StagedVolume): Promise<VolumeStatus[]> {
  if (staged.access.kind === 'block' || staged.phase !== 'staged' || staged.attach.readOnly) return [];
  const top = mountsAt(await mountTable(), staged.stagingPath).at(-1);
  if (top === undefined) {
    return [
      {
        status: 'INACCESSIBLE',
        reason: 'NotMounted',
        message: `nothing is mounted at ${staged.stagingPath}; stage the volume again`,
      },
    ];
  }
  if (!isBroken(top)) return [];
  const message = `the ${top.fsType} of ${staged.volumeId} can only be read: a write has failed; look for errors in the kernel's log, and stage it anew`;
  return [{ status: 'DEGRADED', reason: 'ReadOnlyFilesystem', message }];
}

/** How this node's way to the storage network is as a whole. Empty: well. */
export async function storageHealth({ initiator }: NodeParts): Promise<readonly StorageStatus[]> {
  try {
    const interfaces = await initiator.interfaces();
    if (interfaces.length === 0) {
      const message = 'no interface may carry AoE; allow some, for example with: aoe-csi interfaces set eth1';
      return [{ status: 'STORAGE_UNREACHABLE', reason: 'NoInterface', message }];
    }
    const bad = interfaces.filter(({ state }) => state !== 'up');
    const status = bad.length === interfaces.length ? 'STORAGE_UNREACHABLE' : 'STORAGE_DEGRADED';
    const message = bad.map(({ name, state, reason }) => `${name} is ${state}: ${reason}`).join('; ');
    return bad.length === 0 ? [] : [{ status, reason: 'InterfaceDown', message }];
  } catch (error) {
    if (!isVolumeError(error)) throw error;
    return [{ status: 'STORAGE_UNREACHABLE', reason: 'InitiatorNotResponding', message: error.message }];
  }
}
