/** How a block request ended. NBD turns these into its errno, AoE makes them from ATA and AoE errors; neither knows the other. */

export const STATUS_OK = 0;
/** The medium failed, or the target answered something that can't be made good by trying again. */
export const STATUS_IO_ERROR = 1;
/** Out of range, misaligned or of a length that can't be served. */
export const STATUS_INVALID = 2;
/** A write to a volume that is attached read-only. */
export const STATUS_READ_ONLY = 3;
/** The target can't do this operation at all. */
export const STATUS_NOT_SUPPORTED = 4;
/** The target has been reserved by another initiator: this one is fenced. */
export const STATUS_FENCED = 5;
/** No answer for `deadSeconds`. */
export const STATUS_DEAD = 6;
/** The volume is being detached. */
export const STATUS_SHUTDOWN = 7;
/** The target has no space left behind this address (thin storage, full file system). */
export const STATUS_NO_SPACE = 8;

export type BlockStatus = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const NAMES: Record<BlockStatus, string> = {
  [STATUS_OK]: 'ok',
  [STATUS_IO_ERROR]: 'I/O error',
  [STATUS_INVALID]: 'invalid request',
  [STATUS_READ_ONLY]: 'read-only volume',
  [STATUS_NOT_SUPPORTED]: 'not supported by the target',
  [STATUS_FENCED]: 'fenced: reserved by another initiator',
  [STATUS_DEAD]: 'target did not answer within deadSeconds',
  [STATUS_SHUTDOWN]: 'volume is being detached',
  [STATUS_NO_SPACE]: 'target has no space left',
};

export function blockStatusName(status: BlockStatus): string {
  return NAMES[status];
}
