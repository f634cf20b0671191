import { isTargetAddress } from './addresses.ts';
import { VolumeError } from './errors.ts';
import { seenIdentity, whyAnother } from './inventory.ts';
import type { DiskIdentity, FingerprintRecord, NodeRecord, TargetRecord } from './records.ts';
import { change, type Store } from './store.ts';

/** What was known of a disk, and is no more. */
export interface Forgotten {
  /** What it held when it was last given back. */
  readonly fingerprint?: FingerprintRecord | undefined;
  /** Which one it was, where another one is at the address now. */
  readonly identity?: DiskIdentity | undefined;
}

/**
 * Takes a person's word that the disk at a volume's address is right as it is, after a restore, a repair, or when it was replaced: what
 * is known of the one before is forgotten, and the next node that stages the volume, or wipes what is left of it, takes what is there.
 * Without a live node that sees it, it stays unknown which disk that is, and the one that was known is still demanded.
 * @param live nodes that are alive
 * @returns what was forgotten; nothing where nothing was known against the disk
 * @throws VolumeError `not-found` when there is no volume at the address; `failed-precondition` while it is published, when nodes see
 * different disks, or when the disk is too small for the volume
 */
export async function acceptDisk(store: Store, address: string, live: readonly NodeRecord[]): Promise<Forgotten> {
  let forgotten: Forgotten = {};
  const found = await change(store.targets, address, (record): TargetRecord | undefined => {
    const { claim, identity, publications } = record;
    if (claim === undefined) throw noVolume(address, `the target is ${record.state}, and has no claim`);
    if (publications.length > 0) {
      const nodes = publications.map(({ nodeId }) => nodeId).join(', ');
      throw cannot(address, `the volume is published to ${nodes}; stop its pods, and see that it is unpublished`);
    }
    const seen = acceptable(record, live);
    const isOther = seen !== undefined && whyAnother(identity, seen) !== '';
    forgotten = { fingerprint: claim.fingerprint, identity: isOther ? identity : undefined };
    if (!isOther) return claim.fingerprint && { ...record, claim: { ...claim, fingerprint: undefined } };
    return { ...record, identity: seen, claim: { ...claim, fingerprint: undefined }, task: onAnotherDisk(record) };
  });
  if (found === undefined) {
    throw noVolume(address, isTargetAddress(address) ? 'the store does not know it' : 'that is no address');
  }
  return forgotten;
}

/** The disk that live nodes see, all of them the same; undefined where none sees one. @throws VolumeError */
function acceptable({ address, state, claim }: TargetRecord, live: readonly NodeRecord[]): DiskIdentity | undefined {
  const { identity, conflict } = seenIdentity(address, live);
  if (conflict !== '') throw cannot(address, conflict);
  // What was deleted is to be wiped, and no more.
  if (identity !== undefined && state === 'Claimed' && identity.sizeBytes < (claim?.capacityBytes ?? 0)) {
    throw cannot(
      address,
      `it has ${identity.sizeBytes} bytes, and the volume ${claim?.capacityBytes ?? 0}; bring one that is large enough`,
    );
  }
  return identity;
}

/** Nothing of this disk has been wiped. A wipe that has failed because of it is handed out anew at once. */
function onAnotherDisk({ task }: TargetRecord): TargetRecord['task'] {
  if (task?.kind !== 'wipe') return task;
  return task.state === 'failed' ? undefined : { ...task, doneBytes: 0, totalBytes: 0 };
}

function cannot(address: string, why: string): VolumeError {
  return new VolumeError('failed-precondition', `cannot accept the disk of ${address}: ${why}`);
}

function noVolume(address: string, why: string): VolumeError {
  return new VolumeError('not-found', `cannot accept the disk of ${address}: there is no volume on it: ${why}`);
}
