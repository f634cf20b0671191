import type { NodeRecord, TargetRecord } from '../volumes/records.ts';
import { isConflict, type Versioned } from '../volumes/store.ts';
import type { ControllerParts } from './parts.ts';

/** How often is looked: clusters that grow and shrink by themselves lose some nodes an hour. */
const LOOK_MS = 300_000;

/**
 * Forgets nodes that the cluster has no more: their records and leases would be there for ever, and be read in every round. The record
 * of a node that a volume is published to stays: to remove it says that the node writes no more (unpublishing.ts).
 */
export class DepartedNodes {
  readonly #parts: ControllerParts;
  readonly #steadyMs: () => number;
  #lookedMs = -Infinity;

  constructor(parts: ControllerParts, steadyMs = (): number => performance.now()) {
    this.#parts = parts;
    this.#steadyMs = steadyMs;
  }

  /** @param targets as they are now */
  async round(targets: readonly TargetRecord[]): Promise<void> {
    const { store, liveness } = this.#parts;
    if (store.isGone === undefined || this.#steadyMs() - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = this.#steadyMs();
    const used = new Set(targets.flatMap(({ publications }) => publications.map(({ nodeId }) => nodeId)));
    const silent = (await store.nodes.list()).filter(({ name, value }) => !used.has(name) && !liveness.isAlive(value));
    for (const node of silent) if (await store.isGone(node.name)) await this.#forget(node);
  }

  async #forget({ name, version }: Versioned<NodeRecord>): Promise<void> {
    const { store, logger } = this.#parts;
    try {
      await store.nodes.delete(name, version);
      logger.info('node forgotten: it is silent, has no volume, and is no part of the cluster any more', { node: name });
    } catch (error) {
      // It was heard of in this moment.
      if (!isConflict(error)) throw error;
    }
  }
}
