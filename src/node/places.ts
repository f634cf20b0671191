import { interfaceFilter, type InterfacePatterns } from '../volumes/interface-patterns.ts';
import type { Segments } from '../volumes/topology.ts';

/** What a node that is on a storage network says of it. */
const PRESENT = 'true';

/**
 * Where this node is: what a person says of it, and on which of the storage networks that a person has named it has an interface:
 * `san-a=eth1,san*` makes it `topology.aoe.csi.dev/san-a: "true"` where one of these is there.
 */
export class Places {
  readonly #fixed: Segments;
  readonly #networks: readonly { readonly key: string; readonly isIn: (name: string) => boolean }[];

  /** @param networks by name, with the interfaces that are on them */
  constructor(driverName: string, fixed: Segments, networks: Readonly<Record<string, InterfacePatterns>>) {
    this.#fixed = fixed;
    this.#networks = Object.entries(networks).map(([name, patterns]) => ({
      key: `topology.${driverName}/${name}`,
      isIn: interfaceFilter(patterns),
    }));
  }

  /** Whether it depends on what the initiator says. */
  get dependOnInterfaces(): boolean {
    return this.#networks.length > 0;
  }

  /** @param interfaces of this node that may carry AoE and are there */
  segmentsOn(interfaces: readonly string[]): Segments {
    const present = this.#networks.filter(({ isIn }) => interfaces.some(isIn)).map(({ key }) => [key, PRESENT] as const);
    return { ...this.#fixed, ...Object.fromEntries(present) };
  }
}
