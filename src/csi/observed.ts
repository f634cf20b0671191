import type protobuf from 'protobufjs';
import type { LogFields, Logger } from '../logging/logger.ts';
import { redactionOf } from '../rpc/redaction.ts';
import type { CallContext, UnaryHandler } from '../rpc/server.ts';
import type { Message } from '../rpc/service.ts';
import { isRpcError, RpcError, type RpcCode } from '../rpc/status.ts';
import { checkOf } from '../rpc/validation.ts';
import type { CsiCall } from './handlers.ts';
import { rpcErrorOf } from './volume-failures.ts';

/** How a call ended. */
export interface Outcome {
  /** With its service, e.g. `/csi.v1.Node/NodeGetInfo`. */
  readonly path: string;
  readonly code: RpcCode | 'OK';
  readonly durationMs: number;
}

/** What is around the handlers of a process. */
export interface Surroundings {
  readonly logger: Logger;
  /** Told of each call when it has ended. */
  readonly ended?: (outcome: Outcome) => void;
  /** A name for a call that no other call of this process has had lately. */
  readonly nextId: () => string;
}

type Handler = (request: Message, call: CsiCall) => Promise<Message>;

/** Asked again and again by those who watch over us; when all is well there is nothing to tell. */
const QUIET = /^(Probe|Get|List|Validate|(Controller|Node)(Get|List))/;
/** Ours to mend; the other codes are an answer to what was asked, or to the state of things. */
const OUR_FAULTS = new Set<RpcCode | 'OK'>(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);

/** A handler that checks its requests, has a name in the log for each call, and says how it ended. */
export function observed(
  path: string,
  type: protobuf.Type,
  handler: Handler,
  { logger, ended, nextId }: Surroundings,
): UnaryHandler {
  const method = path.slice(path.lastIndexOf('/') + 1);
  const check = checkOf(type);
  const redact = redactionOf(type);
  return async (request, context) => {
    const startedMs = performance.now();
    const id = nextId();
    const callLogger = logger.with({ request: id, method, ...aboutWhat(request) });
    if (isDetailed(logger)) callLogger.debug('called', { message: redact(request) });
    let failure: unknown;
    try {
      const complaint = check(request);
      if (complaint !== undefined) throw new RpcError('INVALID_ARGUMENT', `${method}: ${complaint}`);
      return await handler(request, { ...context, id, logger: callLogger });
    } catch (error) {
      failure = rpcErrorOf(error);
      throw failure;
    } finally {
      const outcome = { path, code: codeOf(failure, context), durationMs: Math.round(performance.now() - startedMs) };
      ended?.(outcome);
      tell(callLogger, method, outcome, failure);
    }
  };
}

function isDetailed(logger: Logger): boolean {
  return logger.level === 'debug' || logger.level === 'trace';
}

/** Nothing that passes the check is longer; what does not is told of all the same. */
const FIELD_LENGTH_MAX = 256;

/** The fields of a log line that a request has, whatever its type. */
function aboutWhat(request: Message): LogFields {
  const { volumeId, nodeId, name } = request as { volumeId?: string; nodeId?: string; name?: string };
  const volume = (volumeId || name)?.slice(0, FIELD_LENGTH_MAX);
  return { ...(volume ? { volume } : {}), ...(nodeId ? { node: nodeId.slice(0, FIELD_LENGTH_MAX) } : {}) };
}

/** What the caller saw: when it did not wait for the answer, that. */
function codeOf(failure: unknown, context: CallContext): RpcCode | 'OK' {
  if (context.signal.aborted) return context.remainingMs() <= 0 ? 'DEADLINE_EXCEEDED' : 'CANCELLED';
  if (failure === undefined) return 'OK';
  return isRpcError(failure) ? failure.code : 'INTERNAL';
}

function tell(logger: Logger, method: string, { code, durationMs }: Outcome, failure: unknown): void {
  const fields = { code, durationMs };
  if (failure === undefined) {
    if (code === 'OK' && QUIET.test(method)) logger.debug('done', fields);
    else logger.info(code === 'OK' ? 'done' : 'done, but the caller did not wait for the answer', fields);
  } else if (isRpcError(failure) && !OUR_FAULTS.has(failure.code)) {
    logger.warn(failure.message, fields);
  } else {
    logger.error((failure as Error).message, { ...fields, err: failure });
  }
}
