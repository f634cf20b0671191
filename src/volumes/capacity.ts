import { formatBytes } from './byte-size.ts';
import { VolumeError } from './errors.ts';

/** How large a volume shall be, in bytes; 0 where there is no such bound (CSI, CapacityRange). */
export interface CapacityRange {
  readonly requiredBytes: number;
  readonly limitBytes: number;
}

/**
 * Checks a request's two numbers. What is beyond 2^53 - 1, and so not counted exactly, is beyond every disk: it can't be required,
 * and as a limit it is none.
 * @throws VolumeError `invalid-argument` when one is negative, `out-of-range` when no size is between them
 */
export function capacityRange(requiredBytes: number, limitBytes: number): CapacityRange {
  for (const [name, value] of Object.entries({ required_bytes: requiredBytes, limit_bytes: limitBytes })) {
    if (!Number.isInteger(value) || value < 0) {
      throw new VolumeError('invalid-argument', `cannot use ${name} ${value}: give a whole number of bytes from 0`);
    }
  }
  if (requiredBytes > Number.MAX_SAFE_INTEGER) {
    throw new VolumeError('out-of-range', `cannot make a volume of ${requiredBytes} bytes: no disk is that large; ask for less`);
  }
  if (limitBytes !== 0 && requiredBytes > limitBytes) {
    throw new VolumeError(
      'out-of-range',
      `cannot make a volume of at least ${formatBytes(requiredBytes)} and at most ${formatBytes(limitBytes)}: no size is both`,
    );
  }
  return { requiredBytes, limitBytes: Math.min(limitBytes, Number.MAX_SAFE_INTEGER) };
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
