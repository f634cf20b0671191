import { isRpcError, type RpcCode } from '../rpc/status.ts';
import { VolumeError, type VolumeErrorCode } from '../volumes/errors.ts';

/**
 * What the initiator's refusals mean to somebody who works on a volume. Its NOT_FOUND is about a target that does not answer now:
 * for us that is no missing volume.
 */
const VOLUME_CODES: Readonly<Partial<Record<RpcCode, VolumeErrorCode>>> = {
  UNAVAILABLE: 'unavailable',
  DEADLINE_EXCEEDED: 'unavailable',
  CANCELLED: 'unavailable',
  NOT_FOUND: 'unavailable',
  ABORTED: 'aborted',
  FAILED_PRECONDITION: 'failed-precondition',
  ALREADY_EXISTS: 'failed-precondition',
};

/** @param attempted completes "cannot …" */
export function initiatorFailure(attempted: string, error: unknown): VolumeError {
  if (!isRpcError(error)) return new VolumeError('internal', `cannot ${attempted}: ${(error as Error).message}`);
  return new VolumeError(VOLUME_CODES[error.code] ?? 'internal', `cannot ${attempted}: ${error.message}`);
}
