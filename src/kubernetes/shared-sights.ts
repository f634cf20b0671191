import { isDeepStrictEqual } from 'node:util';
import type { NodeRecord, SightRecord } from '../volumes/records.ts';

/** Addresses of which a sight is kept; there are no more on a storage network that is not out of order. */
const ADDRESSES_MAX = 65_536;

/**
 * Nodes that see the same target say the same of it. What one says of it is kept once for all of them: with 500 nodes and 1,000 targets
 * half a million sights otherwise, of some hundred bytes each.
 */
export class SharedSights {
  /** By address, as a node said it last. */
  readonly #last = new Map<string, SightRecord>();

  /** The record, made of sights that other records are made of, too. */
  shared(record: NodeRecord): NodeRecord {
    const sights = Object.entries(record.targets).map(([address, sight]) => [address, this.#same(address, sight)] as const);
    return { ...record, targets: Object.fromEntries(sights) };
  }

  #same(address: string, sight: SightRecord): SightRecord {
    const last = this.#last.get(address);
    if (last !== undefined && isDeepStrictEqual(last, sight)) return last;
    if (this.#last.size >= ADDRESSES_MAX) this.#last.clear();
    this.#last.set(address, sight);
    return sight;
  }
}
