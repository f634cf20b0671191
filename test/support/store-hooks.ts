import type { TargetRecord } from '../../src/volumes/records.ts';
import type { Store, Versioned } from '../../src/volumes/store.ts';

/** What a test does around the writes of targets: in the moment before one, and after one that was made. */
export interface WriteHooks {
  readonly before?: (next: TargetRecord) => Promise<void>;
  readonly after?: (next: TargetRecord) => Promise<void>;
}

/** A store in front of another one, in which something happens between two steps of whoever works with it. */
export function hookedStore(store: Store, { before, after }: WriteHooks): Store {
  const { targets } = store;
  return {
    nodes: store.nodes,
    targets: {
      get: async (name) => targets.get(name),
      list: async () => targets.list(),
      create: async (name, value) => targets.create(name, value),
      update: async (name, version, value): Promise<Versioned<TargetRecord>> => {
        await before?.(value);
        const written = await targets.update(name, version, value);
        await after?.(value);
        return written;
      },
      delete: async (name, version) => targets.delete(name, version),
      watch: (changed) => targets.watch(changed),
    },
    tasksAt: (nodeId) => store.tasksAt(nodeId),
    close: async () => store.close(),
  };
}
