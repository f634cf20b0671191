import { isTargetAddress } from './addresses.ts';
import { isClaim } from './claim.ts';

/**
 * What Kubernetes knows a volume by.
 *
 * ```
 * e10.3@ybcd…7q   the volume that was made with this claim; a late call for it can't hit the slot's next owner
 * e10.3           static: whatever is at this address, entered by a person in a PersistentVolume
 * ```
 */
export interface VolumeId {
  /** `e10.3` */
  readonly address: string;
  /** See claim.ts; undefined for a static volume. */
  readonly claim: string | undefined;
}

/** Bytes of the longest id, `e65534.254@` and a claim. */
export const VOLUME_ID_BYTES_MAX = 37;

/** Reads an id. Undefined for a text that no volume of ours ever had; never throws. */
export function parseVolumeId(text: string): VolumeId | undefined {
  if (text.length > VOLUME_ID_BYTES_MAX) return undefined;
  const [address, claim, more] = text.split('@');
  if (more !== undefined || !isTargetAddress(address)) return undefined;
  if (claim !== undefined && !isClaim(claim)) return undefined;
  return { address, claim };
}

/** The id as text: the reverse of parseVolumeId. */
export function formatVolumeId({ address, claim }: VolumeId): string {
  return claim === undefined ? address : `${address}@${claim}`;
}
