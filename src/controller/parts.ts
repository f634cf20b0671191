import type { Logger } from '../logging/logger.ts';
import { isAlive } from '../volumes/liveness.ts';
import type { NodeRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';

/** What every service of the controller works with. None of them keeps state: two controllers may run on one store. */
export interface ControllerParts {
  readonly store: Store;
  readonly clusterId: string;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** The nodes that can be counted on now, by id. */
export async function liveNodes({ store, nowMs }: ControllerParts): Promise<readonly NodeRecord[]> {
  const now = nowMs();
  return (await store.nodes.list()).map(({ value }) => value).filter((node) => isAlive(node, now));
}
