import { isTargetAddress } from './addresses.ts';
import { VolumeError } from './errors.ts';
import type { FingerprintRecord } from './records.ts';
import { change, type Store } from './store.ts';

/**
 * Takes a person's word that the disk of a volume is right as it is, after a restore or a repair: what it held before is forgotten,
 * and the next node that stages the volume does not compare.
 * @returns what was forgotten; undefined when nothing was known, so that the disk is not compared anyway
 * @throws VolumeError `not-found` when there is no volume at the address; `failed-precondition` while it is published
 */
export async function acceptDisk(store: Store, address: string): Promise<FingerprintRecord | undefined> {
  let forgotten: FingerprintRecord | undefined;
  const found = await change(store.targets, address, ({ claim, publications, ...record }) => {
    if (claim === undefined) throw noVolume(address, `the target is ${record.state}, and has no claim`);
    if (publications.length > 0) {
      const nodes = publications.map(({ nodeId }) => nodeId).join(', ');
      throw new VolumeError(
        'failed-precondition',
        `cannot accept the disk of ${address}: the volume is published to ${nodes}; stop its pods, and see that it is unpublished`,
      );
    }
    forgotten = claim.fingerprint;
    return forgotten === undefined ? undefined : { ...record, publications, claim: { ...claim, fingerprint: undefined } };
  });
  if (found === undefined) {
    throw noVolume(address, isTargetAddress(address) ? 'the store does not know it' : 'that is no address');
  }
  return forgotten;
}

function noVolume(address: string, why: string): VolumeError {
  return new VolumeError('not-found', `cannot accept the disk of ${address}: there is no volume on it: ${why}`);
}
