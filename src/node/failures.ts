import { isRpcError, RpcError, type RpcCode } from '../rpc/status.ts';
import { isVolumeError, VolumeError, type VolumeErrorCode } from '../volumes/errors.ts';

/** The one mapping from what can go wrong with volumes to gRPC. */
const RPC_CODES: Readonly<Record<VolumeErrorCode, RpcCode>> = {
  'invalid-argument': 'INVALID_ARGUMENT',
  'not-found': 'NOT_FOUND',
  'already-exists': 'ALREADY_EXISTS',
  'failed-precondition': 'FAILED_PRECONDITION',
  'resource-exhausted': 'RESOURCE_EXHAUSTED',
  'out-of-range': 'OUT_OF_RANGE',
  aborted: 'ABORTED',
  unavailable: 'UNAVAILABLE',
  internal: 'INTERNAL',
};

/** What a caller over gRPC is told of an error. */
export function rpcErrorOf(error: unknown): unknown {
  if (isVolumeError(error)) return new RpcError(RPC_CODES[error.code], error.message);
  return error;
}

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
