import { isTargetAddress } from '../volumes/addresses.ts';
import { VolumeError } from '../volumes/errors.ts';
import type { TargetRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';

/** Part of a list, and where the next part begins. */
export interface Page<T> {
  readonly entries: readonly T[];
  /** Empty after the last part. */
  readonly nextToken: string;
}

/**
 * The targets that hold volumes, in the order of their names: dynamic ones that are ready, and static ones while they are published.
 *
 * A page's token is the name of its last target, whether or not that is there any more when the next page is asked for: so each
 * volume that exists all the time is on exactly one page, whatever comes and goes meanwhile.
 * @param maxEntries 0 for no limit
 * @throws VolumeError `invalid-argument` for a negative limit, `aborted` for a token that was never given
 */
export async function listVolumes(store: Store, maxEntries: number, startingToken: string): Promise<Page<TargetRecord>> {
  return paged((await store.targets.list()).map(({ value }) => value).filter(isVolume), maxEntries, startingToken);
}

export function isVolume({ state, claim, publications }: TargetRecord): boolean {
  return claim === undefined ? publications.length > 0 : state === 'Claimed' && claim.confirmed;
}

/** @param targets in ascending order of their names, as stores list them */
export function paged(targets: readonly TargetRecord[], maxEntries: number, startingToken: string): Page<TargetRecord> {
  if (!Number.isSafeInteger(maxEntries) || maxEntries < 0) {
    throw new VolumeError('invalid-argument', `cannot list ${maxEntries} entries: give a number from 1, or 0 for all`);
  }
  if (startingToken !== '' && !isTargetAddress(startingToken)) {
    throw new VolumeError('aborted', `cannot list from '${startingToken}' on: that is no token of ours; start again without one`);
  }
  const rest = targets.filter(({ address }) => startingToken === '' || address > startingToken);
  const entries = maxEntries === 0 ? rest : rest.slice(0, maxEntries);
  return { entries, nextToken: entries.length < rest.length ? (entries.at(-1)?.address ?? '') : '' };
}
