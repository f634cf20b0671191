import { formatBytes } from './byte-size.ts';
import { VolumeError } from './errors.ts';

/** How large a volume shall be, in bytes; 0 where there is no such bound (CSI, CapacityRange). */
export interface CapacityRange {
  readonly requiredBytes: number;
  readonly limitBytes: number;
}

/**
 * Checks a request's two numbers.
 * @throws VolumeError `invalid-argument` when one is negative or beyond what can be counted, `out-of-range` when no size is
 * between them
 */
export function capacityRange(requiredBytes: number, limitBytes: number): CapacityRange {
  for (const [name, value] of Object.entries({ required_bytes: requiredBytes, limit_bytes: limitBytes })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new VolumeError('invalid-argument', `cannot use ${name} ${value}: give a number of bytes from 0 to 2^53 - 1`);
    }
  }
  if (limitBytes !== 0 && requiredBytes > limitBytes) {
    throw new VolumeError(
      'out-of-range',
      `cannot make a volume of at least ${formatBytes(requiredBytes)} and at most ${formatBytes(limitBytes)}: no size is both`,
    );
  }
  return { requiredBytes, limitBytes };
}

/**
 * The size a volume gets on a target of `targetBytes`, which is large enough: what was required, or without that as much as is
 * there and allowed. The target may have more; the volume's record remembers the grant.
 */
export function grantedBytes({ requiredBytes, limitBytes }: CapacityRange, targetBytes: number): number {
  if (requiredBytes > 0) return requiredBytes;
  return limitBytes > 0 ? Math.min(limitBytes, targetBytes) : targetBytes;
}

/** Whether a volume of `capacityBytes` is what the range asks for. */
export function isWithin({ requiredBytes, limitBytes }: CapacityRange, capacityBytes: number): boolean {
  return capacityBytes >= requiredBytes && (limitBytes === 0 || capacityBytes <= limitBytes);
}
