import {
  STATUS_DEAD,
  STATUS_FENCED,
  STATUS_INVALID,
  STATUS_IO_ERROR,
  STATUS_NO_SPACE,
  STATUS_NOT_SUPPORTED,
  STATUS_OK,
  STATUS_READ_ONLY,
  STATUS_SHUTDOWN,
  type BlockStatus,
} from '../block/status.ts';
import { NBD_EINVAL, NBD_EIO, NBD_ENOSPC, NBD_ENOTSUP, NBD_EPERM, NBD_ESHUTDOWN, NBD_OK } from './constants.ts';

/** The one place where a block status becomes an NBD error. The compiler asks for every status. */
const ERROR_VALUES: Record<BlockStatus, number> = {
  [STATUS_OK]: NBD_OK,
  [STATUS_IO_ERROR]: NBD_EIO,
  [STATUS_INVALID]: NBD_EINVAL,
  [STATUS_READ_ONLY]: NBD_EPERM,
  [STATUS_NOT_SUPPORTED]: NBD_ENOTSUP,
  // Not EPERM: that says "read-only" to an NBD client. A fenced volume is gone for this node, like a dead disk.
  [STATUS_FENCED]: NBD_EIO,
  [STATUS_DEAD]: NBD_EIO,
  [STATUS_SHUTDOWN]: NBD_ESHUTDOWN,
  [STATUS_NO_SPACE]: NBD_ENOSPC,
};

export function errorValueOf(status: BlockStatus): number {
  return ERROR_VALUES[status];
}
