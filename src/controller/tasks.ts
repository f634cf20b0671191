import { addressKey } from '../volumes/addresses.ts';
import { interfaceFilter } from '../volumes/interface-patterns.ts';
import { settingsOfVolume } from '../volumes/parameters.ts';
import type { NodeRecord, TargetRecord, TaskRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';
import { claimTaskId, fenceTaskId, wipeTaskId } from '../volumes/task-ids.ts';

/**
 * Work that the controller leaves to nodes: they see the storage network. It stands in the target's record:
 *
 * ```
 * claim   set the config string; then claim.confirmed = true and no task. Somebody else's string: Foreign, no claim, no task; a
 *         volume that was confirmed before stays one, and `reason` says who has its target
 * wipe    Released → Wiping → wipe, clear the config string → Available, no claim, no task
 * fence   make the target refuse the node whose publication is to go; then state `done`, and the controller clears the task
 * ```
 *
 * A node that can't says `failed` and why; whoever hands out tasks tries again, rather with another node.
 */

export function claimTask(claim: string, nodeId: string): TaskRecord {
  return newTask('claim', claimTaskId(claim), nodeId);
}

export function wipeTask(claim: string, nodeId: string): TaskRecord {
  return newTask('wipe', wipeTaskId(claim), nodeId);
}

/** @param epoch of the publication that is to end */
export function fenceTask(fencedNodeId: string, epoch: number, nodeId: string): TaskRecord {
  return newTask('fence', fenceTaskId(fencedNodeId, epoch), nodeId);
}

function newTask(kind: TaskRecord['kind'], id: string, nodeId: string): TaskRecord {
  return { kind, id, nodeId, state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 };
}

/** The same task for this node, from the beginning or from where a wipe has come. */
export function handedTo(task: TaskRecord, nodeId: string): TaskRecord {
  return { ...task, nodeId, state: 'waiting', message: '' };
}

/**
 * A node that can do something with a target: one of those that see it, through an interface that its volume may use where there is
 * such a node, as a wipe goes through these; of these one that sees it through the most interfaces, as each may lead to another of its
 * MACs. Always the same one as long as they are the same, and different ones for different targets, so that the work is spread.
 * @param live nodes that are alive
 * @param except a node that must not do it
 */
export function nodeFor(
  { address, claim }: Pick<TargetRecord, 'address' | 'claim'>,
  live: readonly NodeRecord[],
  except?: string,
): string | undefined {
  const isAllowed = interfaceFilter(claim === undefined ? [] : settingsOfVolume(claim).interfaces);
  const seeing = live.filter(({ nodeId, targets }) => targets[address] !== undefined && nodeId !== except);
  const reaching = seeing.filter(({ targets }) => targets[address].interfaces.some(isAllowed));
  const able = reaching.length > 0 ? reaching : seeing;
  const paths = ({ targets }: NodeRecord): number => targets[address].interfaces.length;
  const pathsMost = Math.max(...able.map(paths));
  const ids = able.filter((node) => paths(node) === pathsMost).map(({ nodeId }) => nodeId);
  return ids.length === 0 ? undefined : ids[(addressKey(address) ?? 0) % ids.length];
}

/**
 * The best of the nodes that no person has declared to be off: such a node counts as alive until it has been silent for long, and
 * nothing that it is asked for is done meanwhile.
 * @param best of those it is given
 */
export async function nodeInService(
  store: Pick<Store, 'isOutOfService'>,
  live: readonly NodeRecord[],
  best: (able: readonly NodeRecord[]) => string | undefined,
): Promise<string | undefined> {
  const node = best(live);
  if (node === undefined || (await store.isOutOfService?.(node)) !== true) return node;
  return nodeInService(
    store,
    live.filter(({ nodeId }) => nodeId !== node),
    best,
  );
}

/** Whether more has been done with a target than to take it in its record: from here on, the storage network knows of the claim. */
export function isDecided({ claim, task }: TargetRecord): boolean {
  return claim?.confirmed === true || task !== undefined;
}
