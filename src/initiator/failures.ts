import { isRpcError, RpcError, type RpcCode } from '../rpc/status.ts';
import type { FailureCode } from './messages.ts';

/** The one mapping from what can go wrong here to gRPC. */
const RPC_CODES: Record<FailureCode, RpcCode> = {
  'not-found': 'NOT_FOUND',
  'already-exists': 'ALREADY_EXISTS',
  invalid: 'INVALID_ARGUMENT',
  refused: 'FAILED_PRECONDITION',
  busy: 'ABORTED',
  unavailable: 'UNAVAILABLE',
  internal: 'INTERNAL',
};

/** What a caller is told of an error: those that carry a FailureCode keep their message, anything else is a fault of ours. */
export function rpcErrorOf(error: unknown): RpcError {
  if (isRpcError(error)) return error;
  const { name, code, message } = error as { name: string; code?: FailureCode; message: string };
  // A helper program that failed may well do better the next time.
  if (name === 'ProgramError') return new RpcError('UNAVAILABLE', message);
  const known = code !== undefined && Object.hasOwn(RPC_CODES, code);
  return new RpcError(known ? RPC_CODES[code] : 'INTERNAL', message);
}
