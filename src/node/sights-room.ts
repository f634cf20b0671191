import type { SightRecord } from '../volumes/records.ts';

/**
 * Bytes of JSON that what is seen may take in a node's record: some 6,000 targets with names of common length. etcd takes 1.5 MiB for an
 * object, and a record that is refused says nothing at all, not even which volumes are staged: 256 KiB are kept for all else.
 */
export const SIGHTS_BYTES_MAX = 1_310_720;
/** Quotes, colon and comma around a name and what is seen of it. */
const PUNCTUATION_BYTES = 4;

type Sights = Readonly<Record<string, SightRecord>>;

/**
 * What of these has room: `first` before all others, and else in the order they have, so that it is the same from one look to the next.
 * @returns the same object when all have
 */
export function withRoom(sights: Sights, first: ReadonlySet<string>, bytesMax = SIGHTS_BYTES_MAX): Sights {
  const entries = Object.entries(sights);
  let bytes = 0;
  const kept = new Set<string>();
  for (const isFirst of [true, false]) {
    for (const [address, sight] of entries) {
      if (first.has(address) !== isFirst) continue;
      bytes += Buffer.byteLength(address) + Buffer.byteLength(JSON.stringify(sight)) + PUNCTUATION_BYTES;
      if (bytes > bytesMax) return Object.fromEntries(entries.filter(([name]) => kept.has(name)));
      kept.add(address);
    }
  }
  return sights;
}
