import { interfaceFilter, type InterfacePatterns } from './interface-patterns.ts';
import type { NodeRecord } from './records.ts';

/** Where a node is, or a volume can be reached from: topology key → value, e.g. `topology.aoe.csi.dev/segment` → `san-a`. */
export type Segments = Readonly<Record<string, string>>;

/** From where a volume must, or had better, be reachable (CSI, TopologyRequirement); empty lists where there is no such wish. */
export interface TopologyRequirement {
  /** From one of these at least. */
  readonly requisite: readonly Segments[];
  /** Rather from the first than from the second, and so on. */
  readonly preferred: readonly Segments[];
}

export const ANYWHERE: TopologyRequirement = { requisite: [], preferred: [] };

/** Whether a node is in a place: it has every key of the term, with its value. */
export function isIn(node: NodeRecord, term: Segments): boolean {
  return Object.entries(term).every(([key, value]) => node.segments[key] === value);
}

/**
 * The different places of the nodes that see a target: what CreateVolume answers as the volume's accessible topology.
 * @param interfaces through which it must be seen; empty for any
 */
export function segmentsThatSee(
  address: string,
  nodes: readonly NodeRecord[],
  interfaces: InterfacePatterns,
): readonly Segments[] {
  const isAllowed = interfaceFilter(interfaces);
  const places = new Map<string, Segments>();
  for (const node of nodes) {
    const isSeen = node.targets[address]?.interfaces.some(isAllowed) ?? false;
    if (!isSeen || Object.keys(node.segments).length === 0) continue;
    const entries = Object.entries(node.segments).toSorted(([a], [b]) => (a < b ? -1 : 1));
    places.set(JSON.stringify(entries), node.segments);
  }
  return [...places.keys()].toSorted().map((key) => places.get(key) ?? {});
}
