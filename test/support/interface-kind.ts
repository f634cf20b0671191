import { command, root, type Requirement } from './requires.ts';
import { NetworkNamespace } from './system-namespace.ts';

/** The kernel can make interfaces of this kind (vlan, macvlan …). Not every CI machine's can. */
export function interfaceKind(kind: string): Requirement {
  const missing = `needs network interfaces of kind ${kind}: run a kernel that has them`;
  if (root().missing !== undefined || command('ip', 'iproute2').missing !== undefined) return { missing, certainInCi: false };
  const namespace = new NetworkNamespace('kind');
  try {
    namespace.ip('link add parent type veth');
    namespace.ip(`link add link parent name child type ${kind}${kind === 'vlan' ? ' id 1' : ''}`);
    return { missing: undefined, certainInCi: false };
  } catch {
    return { missing, certainInCi: false };
  } finally {
    namespace.remove();
  }
}
