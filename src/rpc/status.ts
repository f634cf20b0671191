import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';

/** gRPC's names of outcomes, those that we use. */
export type RpcCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/** A call that did not succeed: thrown by handlers, and by clients with what the server said. Told apart by `code`. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: RpcCode;

  constructor(code: RpcCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A message is sent as a header, and HTTP/2 refuses what is too long for one: then the caller would not even get the code. */
const MESSAGE_LENGTH_MAX = 2_000;

/** What goes over the wire for an error that a handler has thrown. Anything but an RpcError is a fault of ours. */
export function statusOf(error: unknown): StatusObject {
  const metadata = new Metadata();
  if (isRpcError(error)) return { code: status[error.code], details: clipped(error.message), metadata };
  return { code: status.INTERNAL, details: clipped(`internal error: ${(error as Error).message}`), metadata };
}

/** Half a surrogate pair, cut or from elsewhere, can't be sent at all. */
function clipped(message: string): string {
  const text = message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message;
  return text.toWellFormed();
}

/** What a client throws for a call that failed on the server, or did not get there. */
export function errorOf(failure: ServiceError): RpcError {
  const name = status[failure.code] as RpcCode | 'OK' | undefined;
  return new RpcError(name === undefined || name === 'OK' ? 'UNKNOWN' : name, failure.details);
}

export function isRpcError(error: unknown): error is RpcError {
  return (error as Partial<RpcError> | null)?.name === 'RpcError';
}
