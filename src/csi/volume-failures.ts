import { RpcError, type RpcCode } from '../rpc/status.ts';
import { isVolumeError, type VolumeErrorCode } from '../volumes/errors.ts';

/** The one mapping from what can go wrong with volumes to gRPC; docs/csi.md says what each means for each call. */
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

/** What a caller over gRPC is told of an error; what is not expected stays as it is, and is answered with INTERNAL. */
export function rpcErrorOf(error: unknown): unknown {
  return isVolumeError(error) ? new RpcError(RPC_CODES[error.code], error.message) : error;
}
