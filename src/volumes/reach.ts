import { interfaceFilter, type InterfacePatterns } from './interface-patterns.ts';
import type { NodeRecord } from './records.ts';
import { nodesIn, type TopologyRequirement } from './topology.ts';

/** Which targets can be reached from where a volume is wanted, through the interfaces it may use. */
export class Reach {
  readonly #nodes: readonly NodeRecord[];
  /** Those in one of the requisite places. */
  readonly #eligible: readonly NodeRecord[];
  /** For each preferred place, those of them that are there. */
  readonly #preferred: readonly (readonly NodeRecord[])[];
  readonly #isAllowed: (name: string) => boolean;

  constructor(nodes: readonly NodeRecord[], { requisite, preferred }: TopologyRequirement, interfaces: InterfacePatterns) {
    this.#nodes = nodes;
    const eligible = new Set(requisite.length === 0 ? nodes : requisite.flatMap((term) => nodesIn(nodes, term)));
    this.#eligible = [...eligible];
    this.#preferred = preferred.map((term) => nodesIn(nodes, term).filter((node) => eligible.has(node)));
    this.#isAllowed = interfaceFilter(interfaces);
  }

  /** The first preferred place, counted from 0, from which the target is reached; their number for another; or why it is not. */
  preferenceOf(address: string): number | 'unseen' | 'topology' | 'interfaces' {
    const reaches = (node: NodeRecord) => this.#reaches(node, address);
    const sees = (node: NodeRecord) => node.targets[address] !== undefined;
    if (this.#eligible.some(reaches)) {
      const place = this.#preferred.findIndex((nodes) => nodes.some(reaches));
      return place < 0 ? this.#preferred.length : place;
    }
    if (this.#eligible.some(sees)) return 'interfaces';
    return this.#nodes.some(sees) ? 'topology' : 'unseen';
  }

  #reaches(node: NodeRecord, address: string): boolean {
    return node.targets[address]?.interfaces.some(this.#isAllowed) ?? false;
  }
}
