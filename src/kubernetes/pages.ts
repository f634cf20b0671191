import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { refusal, type Attempt } from './api-failure.ts';

/** The server forgets what a listing was in the middle of after some minutes. */
const EXPIRED = 410;
const TRIES_MAX = 3;

interface Page<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  /** Null for none, as Go writes an empty list. */
  readonly items: readonly T[] | null;
}

/**
 * Lists a collection as it is at one instant, page by page.
 * @param found called for each object, in the order of names; again from the beginning when the server lost its place
 * @returns the version at that instant
 * @throws VolumeError when the server refuses; UnreachableError
 */
export async function eachPage<T>(
  connection: ApiConnection,
  request: ApiRequest,
  size: number,
  attempt: Attempt,
  found: (object: T) => void,
): Promise<string> {
  let from = '';
  for (let tries = 1; ;) {
    const query = { ...request.query, limit: `${size}`, ...(from === '' ? {} : { continue: from }) };
    const answer = await connection.request({ ...request, query });
    if (answer.status === EXPIRED && from !== '' && tries < TRIES_MAX) {
      tries++;
      from = '';
      continue;
    }
    if (answer.status !== 200) throw refusal(attempt, answer);
    const page = answer.body as Page<T>;
    for (const object of page.items ?? []) found(object);
    from = page.metadata.continue ?? '';
    if (from === '') return page.metadata.resourceVersion;
  }
}
