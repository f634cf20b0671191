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

/**
 * The nodes that a term is about: those whose place is this and no more, where there are such nodes. Kubernetes makes the terms of the
 * places of nodes: what is wanted from `san-a` is wanted by a node that is on this storage network only, and one that is on another,
 * too, may see what that node can't. Other terms (`allowedTopologies`) are about all nodes that have every key, with its value.
 */
export function nodesIn(nodes: readonly NodeRecord[], term: Segments): readonly NodeRecord[] {
  const entries = Object.entries(term);
  const within = nodes.filter(({ segments }) => entries.every(([key, value]) => segments[key] === value));
  const exactly = within.filter(({ segments }) => Object.keys(segments).length === entries.length);
  return exactly.length > 0 ? exactly : within;
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
