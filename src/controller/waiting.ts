import type { CallContext } from '../rpc/server.ts';

/** Who sets no deadline, or a distant one, does not keep a call for ever: the next one goes on where this has stopped. */
const WAIT_MS_MAX = 60_000;
/** Kept for saying what was waited for, before the caller gives up. */
const ANSWER_MS = 500;

/** How long a call may wait for something: until a little before its deadline, and until its caller is gone. */
export function patienceOf({ signal, remainingMs }: Pick<CallContext, 'signal' | 'remainingMs'>): AbortSignal {
  const waitMs = Math.max(1, Math.min(WAIT_MS_MAX, remainingMs() - ANSWER_MS));
  return AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
}
