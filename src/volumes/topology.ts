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

/** @param interfaces through which the target must be seen; empty for any */
export function nodesThatSee(
  address: string,
  nodes: readonly NodeRecord[],
  interfaces: InterfacePatterns,
): readonly NodeRecord[] {
  const isAllowed = interfaceFilter(interfaces);
  return nodes.filter(({ targets }) => targets[address]?.interfaces.some(isAllowed) ?? false);
}

/** The different places of nodes: of those that see a volume's target they are what CreateVolume answers as its accessible topology. */
export function placesOf(nodes: readonly NodeRecord[]): readonly Segments[] {
  const places = new Map<string, Segments>();
  for (const { segments } of nodes) {
    const entries = Object.entries(segments).toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (entries.length > 0) places.set(JSON.stringify(entries), segments);
  }
  return [...places.keys()].toSorted().map((key) => places.get(key) ?? {});
}
