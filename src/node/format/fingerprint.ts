import { createHash } from 'node:crypto';
import { VolumeError } from '../../volumes/errors.ts';
import type { FingerprintRecord } from '../../volumes/records.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import { probedRanges, type Range } from './places.ts';
import { readDevice } from './read-device.ts';

/**
 * A disk is known again by what it holds in the places where disks say what they hold (places.ts): superblocks with their times and
 * counters, so that not only another disk is told apart, but also the same one in an older state. SHA-256 over the bytes of these
 * places, in ascending order. The places follow from the size that the disk had then: one that has grown since is still known.
 */

/** Goes up with each change of the places or of what is hashed: an older fingerprint then says nothing any more. */
export const FINGERPRINT_SCHEME = 1;

/** What was seen of a disk, without who saw it. */
export type Fingerprint = Pick<FingerprintRecord, 'scheme' | 'sha256' | 'sizeBytes'>;

/**
 * @param read whole ranges of 512-byte sectors of a disk of at least `sizeBytes`
 * @throws what `read` throws
 */
export async function fingerprintOf(sizeBytes: number, read: (range: Range) => Promise<Uint8Array>): Promise<Fingerprint> {
  const hash = createHash('sha256');
  for (const range of probedRanges(sizeBytes)) hash.update(await read(range));
  return { scheme: FINGERPRINT_SCHEME, sha256: hash.digest('hex'), sizeBytes };
}

/**
 * Takes a device's fingerprint past the page cache.
 * @param sizeBytes that it has now, or had when it was seen last
 * @throws VolumeError `unavailable` when not all could be read, or not in time
 */
export async function fingerprintOfDevice(device: BlockDevice, sizeBytes: number, timeoutMs: number): Promise<Fingerprint> {
  const endMs = performance.now() + timeoutMs;
  return fingerprintOf(sizeBytes, async (range) => {
    const leftMs = endMs - performance.now();
    if (leftMs > 0) return readDevice(device, range, leftMs);
    throw new VolumeError(
      'unavailable',
      `cannot read all of ${device.path} that is needed within ${timeoutMs / 1000} s; call again`,
    );
  });
}

/** Whether a fingerprint can be compared with what is taken now. */
export function isComparable(expected: FingerprintRecord | undefined): expected is FingerprintRecord {
  return expected?.scheme === FINGERPRINT_SCHEME;
}
