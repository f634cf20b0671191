/** Why an operation on volumes did not happen. Each code is one gRPC status (src/csi/volume-failures.ts); the domain itself knows no gRPC. */
export type VolumeErrorCode =
  /** A field is missing or makes no sense, whatever the state of the world. */
  | 'invalid-argument'
  | 'not-found'
  /** The same thing exists in another form. */
  | 'already-exists'
  /** It can't be done in the present state, and a person or another call must change that first. */
  | 'failed-precondition'
  /** No target, no slot, no place on the node. */
  | 'resource-exhausted'
  /** A size that nobody has. */
  | 'out-of-range'
  /** Another operation on the same thing is under way: call again. */
  | 'aborted'
  /** Something needed does not answer now: call again. */
  | 'unavailable'
  | 'internal';

/** An expected failure: what was attempted, on what, what happened, and what to do about it, in one message without secrets. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly code: VolumeErrorCode;

  constructor(code: VolumeErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Told apart by name, not by `instanceof`: two copies of a module may meet (tests, bundles). */
export function isVolumeError(error: unknown): error is VolumeError {
  return error instanceof Error && error.name === 'VolumeError';
}
