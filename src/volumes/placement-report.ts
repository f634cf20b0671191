import { formatBytes } from './byte-size.ts';
import { VolumeError } from './errors.ts';
import { PARAMETERS } from './parameter-table.ts';
import { REJECTIONS, type Placement, type PlacementRequest, type Rejection } from './placement.ts';
import type { NodeRecord } from './records.ts';

/** Tests that no waiting changes: the target would have to be another one. */
const LASTING: ReadonlySet<Rejection> = new Set(['shelf', 'slot', 'size', 'waste']);

/**
 * The error for a volume that has no candidate. How many targets failed which test is in its message.
 * @param nodes those that are alive
 * @returns VolumeError `unavailable` when nobody sees the storage network, `out-of-range` when no target of the class has such a
 * size, free or not, else `resource-exhausted`
 */
export function noPlace(request: PlacementRequest, placement: Placement, nodes: readonly NodeRecord[]): VolumeError {
  const attempted = `cannot place ${what(request)}`;
  const { rejected } = placement;
  const total = [...rejected.values()].reduce((sum, count) => sum + count, 0);
  if (nodes.length === 0) {
    return new VolumeError('unavailable', `${attempted}: no node plugin is alive to see targets; start one, and the call works`);
  }
  if (total === 0) {
    const advice = 'check that targets answer `aoe-csi discover` on a node and that its interfaces are allowed';
    return new VolumeError('resource-exhausted', `${attempted}: no target is known; ${advice}`);
  }
  const lists = rejected.has('interfaces') ? ` (${interfaceLists(request, nodes)})` : '';
  const counts = `of ${total} targets ${describe(rejected)}${lists}`;
  const isSize = rejected.has('size') || rejected.has('waste');
  return isSize && [...rejected.keys()].every((test) => LASTING.has(test))
    ? new VolumeError('out-of-range', `${attempted}: ${counts}; ask for another size, add such a target, or change the class`)
    : new VolumeError('resource-exhausted', `${attempted}: ${counts}; free or add a target, or change the class`);
}

/** `3 are too small, 2 are taken`, in the order of the tests. */
function describe(rejected: ReadonlyMap<Rejection, number>): string {
  const parts = Object.entries(REJECTIONS).flatMap(([test, text]) => {
    const count = rejected.get(test as Rejection);
    return count === undefined ? [] : [`${count} ${count === 1 ? 'is' : 'are'} ${text}`];
  });
  return parts.join(', ');
}

/** Names that a message shows. */
const NAMES_MAX = 16;

/** Both lists that have nothing in common. */
function interfaceLists({ settings }: PlacementRequest, nodes: readonly NodeRecord[]): string {
  const names = [...new Set(nodes.flatMap(({ interfaces }) => interfaces))].toSorted();
  const shown = names.length > NAMES_MAX ? [...names.slice(0, NAMES_MAX), '…'] : names;
  return `the class allows ${PARAMETERS.interfaces.write(settings.interfaces)}; live nodes have ${shown.join(', ') || 'none'}`;
}

function what({ range: { requiredBytes, limitBytes } }: PlacementRequest): string {
  if (requiredBytes > 0) return `a volume of ${formatBytes(requiredBytes)}`;
  return limitBytes > 0 ? `a volume of at most ${formatBytes(limitBytes)}` : 'a volume of any size';
}
