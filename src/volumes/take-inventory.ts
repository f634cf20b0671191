import { setImmediate as otherWork } from 'node:timers/promises';
import { addressesSeen, nextTarget } from './inventory.ts';
import type { NodeRecord, TargetRecord } from './records.ts';
import { isConflict, type Collection, type Versioned } from './store.ts';

/** Targets that are looked at before others may work. */
const ROW = 32;

/** What a round did. */
export interface InventoryRound {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  /** Records that could not be written, a message each; the next round tries again. */
  readonly failures: readonly string[];
}

/**
 * Brings the targets' records up to what live nodes see. Any number of controllers may do this at a time: where another was
 * faster, its record stands until the next round. Without a live node nothing is known, and nothing changes.
 * @param nodes those that are alive
 * @throws when the records can't be listed
 */
export async function takeInventory(
  targets: Collection<TargetRecord>,
  clusterId: string,
  nodes: readonly NodeRecord[],
): Promise<InventoryRound> {
  const records = new Map((await targets.list()).map((record) => [record.name, record]));
  const round = { created: [] as string[], updated: [] as string[], failures: [] as string[] };
  const addresses = nodes.length === 0 ? [] : [...new Set([...records.keys(), ...addressesSeen(nodes)])];
  for (const [index, address] of addresses.entries()) {
    if (index % ROW === 0) await otherWork();
    const record = records.get(address);
    const next = nextTarget(address, record?.value, nodes, clusterId);
    if (next === undefined) continue;
    const list = record === undefined ? round.created : round.updated;
    try {
      if (await write(targets, address, record, next)) list.push(address);
    } catch (error) {
      round.failures.push((error as Error).message);
    }
  }
  return round;
}

/** Answers false when somebody else was faster. */
async function write(
  targets: Collection<TargetRecord>,
  address: string,
  record: Versioned<TargetRecord> | undefined,
  next: TargetRecord,
): Promise<boolean> {
  try {
    if (record === undefined) await targets.create(address, next);
    else await targets.update(address, record.version, next);
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}
