import { VolumeError } from '../volumes/errors.ts';
import type { ApiAnswer } from './api-connection.ts';
import { GROUP, type Resource } from './resources.ts';

/** The API server could not be asked, or did not answer: nothing is known, not even whether a write was made. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** meta.k8s.io/v1 Status: what the API server says when it refuses. */
export interface Status {
  readonly kind: 'Status';
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly name?: string; readonly kind?: string };
}

export function statusOf(body: unknown): Status | undefined {
  return (body as Partial<Status> | null)?.kind === 'Status' ? (body as Status) : undefined;
}

/** Whether an answer says that there is no object of this name; anything else that is missing (its kind, its namespace) is a failure. */
export function saysThereIsNone({ status, body }: ApiAnswer, objectName: string): boolean {
  return status === 404 && statusOf(body)?.details?.name === objectName;
}

/** What was attempted, e.g. `write the record e10.3`, and on which kind of object. */
export interface Attempt {
  readonly what: string;
  readonly resource: Resource;
  readonly namespace: string;
}

/** The error for an answer that is not the one wanted. */
export function refusal(attempt: Attempt, { status, body }: ApiAnswer): VolumeError {
  const said = statusOf(body)?.message ?? (typeof body === 'string' ? body.trim().slice(0, 200) : '');
  const failed = (code: ConstructorParameters<typeof VolumeError>[0], why: string): VolumeError =>
    new VolumeError(code, `cannot ${attempt.what}: ${why}`);
  if (/request is too large|too large/i.test(said) || status === 413) {
    return failed('resource-exhausted', `the API server says that it is too large (${said}); etcd takes 1.5 MB for an object`);
  }
  switch (status) {
    case 400:
      return failed(
        'failed-precondition',
        `${said}; where it names an unknown field, the ${definitionsOf(attempt)} are older than this program: ${INSTALL}`,
      );
    case 401:
      return failed(
        'unavailable',
        `the API server does not know who asks (${said}); check the kubeconfig or the service account's token`,
      );
    case 403:
      return failed(
        'failed-precondition',
        `the API server forbids it: ${said}; grant it with the roles of the chart, in namespace ${attempt.namespace}`,
      );
    case 404:
      return failed('unavailable', missing(attempt, body));
    case 422:
      return failed('failed-precondition', `the API server refuses it: ${said}`);
    default:
      return failed('unavailable', `the API server answers ${status} (${said}); call again`);
  }
}

/** Turns "no answer" into an error of the domain. */
export async function answered<R>(attempt: Attempt, isWrite: boolean, ask: () => Promise<R>): Promise<R> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof UnreachableError ? noAnswer(attempt, error, isWrite) : error;
  }
}

function noAnswer({ what }: Attempt, error: UnreachableError, isWrite: boolean): VolumeError {
  const state = isWrite ? 'whether it was done is not known; ' : '';
  return new VolumeError('unavailable', `cannot ${what}: ${error.message}; ${state}call again when the API server is there`);
}

const INSTALL = 'install the chart, or run `kubectl apply --server-side -f deploy/helm/definitions`';

function missing(attempt: Attempt, body: unknown): string {
  const { kind, name } = statusOf(body)?.details ?? {};
  if (kind === 'namespaces') return `there is no namespace ${name ?? attempt.namespace}; make it, or name another one`;
  return `the API server does not know ${definitionsOf(attempt)}; ${INSTALL}`;
}

function definitionsOf({ resource }: Attempt): string {
  return `${resource.plural}.${GROUP}`;
}
