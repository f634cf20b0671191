import { VolumeError } from '../volumes/errors.ts';
import { settingsOf, settingsOfVolume } from '../volumes/parameters.ts';
import type { NodeRecord, TargetRecord } from '../volumes/records.ts';
import { nodesThatSee, placesOf, type Segments, type TopologyRequirement } from '../volumes/topology.ts';
import { liveNodes, type ControllerParts } from './parts.ts';

/** The places from which a volume can be reached, by the nodes that are alive now; empty also where nodes have no places. */
export function accessibleFrom({ address, claim }: TargetRecord, live: readonly NodeRecord[]): readonly Segments[] {
  const { interfaces } = claim === undefined ? settingsOf() : settingsOfVolume(claim);
  return placesOf(nodesThatSee(address, live, interfaces));
}

/**
 * Of a volume that was just made. What is answered now binds it for ever, and no place at all stands for every node: so nothing is
 * answered while no node sees the target. Nodes without a place are anywhere.
 * @throws VolumeError `unavailable`
 */
export async function accessibleAtLast(
  parts: ControllerParts,
  target: TargetRecord,
  { requisite, preferred }: TopologyRequirement,
): Promise<readonly Segments[]> {
  const { address, claim } = target;
  const live = await liveNodes(parts);
  const places = accessibleFrom(target, live);
  const { interfaces } = claim === undefined ? settingsOf() : settingsOfVolume(claim);
  if (places.length > 0 || nodesThatSee(address, live, interfaces).length > 0) return places;
  const nodes = await parts.store.nodes.list();
  const isWanted = requisite.length > 0 || preferred.length > 0;
  if (!isWanted && nodes.every(({ value }) => Object.keys(value.segments).length === 0)) return [];
  const through = interfaces.length === 0 ? '' : ` through its interfaces (${interfaces.join(',')})`;
  throw new VolumeError(
    'unavailable',
    `cannot say from where volume ${claim?.volumeName ?? ''} can be reached: it is made on ${address}, and no live node sees that${through}; ` +
      'bring the target or a node plugin back, and call again',
  );
}
