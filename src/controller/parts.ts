import type { Logger } from '../logging/logger.ts';
import type { Liveness } from '../volumes/liveness.ts';
import type { NodeRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';

/**
 * What every service of the controller works with. None of them keeps state that another would need: two controllers may run on one
 * store.
 */
export interface ControllerParts {
  readonly store: Store;
  readonly clusterId: string;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** One for all services of a process. */
  readonly liveness: Liveness;
  readonly logger: Logger;
}

/** The nodes that can be counted on now, by id. */
export async function liveNodes({ store, liveness }: ControllerParts): Promise<readonly NodeRecord[]> {
  return (await store.nodes.list()).map(({ value }) => value).filter((node) => liveness.isAlive(node));
}
