import { execFileSync } from 'node:child_process';
import { NetworkNamespace } from './system-namespace.ts';

/** The API server's address on the LAN. */
export const PLANE_ADDRESS = '10.200.0.1';
/** The first address of services is the API server's: it has it itself, so that no kube-proxy is needed. */
export const SERVICE_ADDRESS = '10.96.0.1';
/** A node's interfaces. */
export const LAN_INTERFACE = 'eth0';
export const SAN_INTERFACE = 'san0';
const LAN_MTU = 1500;
export const SAN_MTU = 9000;
const TARGET_MAC = '02:a0:e0:00:00:01';
/** What a bridge with addresses of its own is called, and the wires to both at a guest's. */
export const [LAN, SAN] = ['lan', 'san'];
/** What a guest has as its interface to one of them. */
export function tapOf(name: string): string {
  return `tap-${name}`;
}

/** Where pods of a node have their addresses. */
export function podNetwork(number: number): string {
  return `10.201.${number}.0/24`;
}

export function nodeAddress(number: number): string {
  return `10.200.0.${10 + number}`;
}

/** Two switches: the LAN of the nodes, with the control plane's host on it, and the storage network, with a host for targets. */
export class ClusterNetwork {
  readonly plane = new NetworkNamespace('cluster-plane');
  readonly san = new NetworkNamespace('cluster-san');
  readonly #nodes: NetworkNamespace[] = [];
  #plugged = 0;

  constructor() {
    this.plane.ip('link set lo up');
    this.plane.ip(`address add ${SERVICE_ADDRESS}/32 dev lo`);
    this.plane.ip(`link add ${LAN} type bridge`);
    this.plane.ip(`address add ${PLANE_ADDRESS}/24 dev ${LAN}`);
    this.plane.ip(`link set ${LAN} up`);
    forward(this.plane);
    // Whom targets answer as: without an address of its own the switch would take another one with the next port.
    this.san.ip(`link add ${SAN} address ${TARGET_MAC} mtu ${SAN_MTU} type bridge`);
    // Without IPv6 nothing but AoE is on the wire.
    this.san.ip(`link set ${SAN} addrgenmode none`);
    this.san.ip(`link set ${SAN} up`);
  }

  /** Where targets serve, in the namespace `san`. */
  get targetInterface(): string {
    return SAN;
  }

  /** A node's host with an interface on each network. Who is on the LAN reaches pods of all nodes over the control plane's host. */
  join(number: number): NetworkNamespace {
    const node = this.#wired(number, LAN_INTERFACE, SAN_INTERFACE);
    node.ip(`link set ${SAN_INTERFACE} addrgenmode none`);
    node.ip(`address add ${nodeAddress(number)}/24 dev ${LAN_INTERFACE}`);
    for (const name of [LAN_INTERFACE, SAN_INTERFACE]) node.ip(`link set ${name} up`);
    node.ip(`route add default via ${PLANE_ADDRESS}`);
    forward(node);
    return node;
  }

  /** Where a machine is to be that brings its own network: a tap for each of its interfaces, as a switch between it and the wire. */
  joinMachine(number: number): NetworkNamespace {
    const place = this.#wired(number, LAN, SAN);
    bridged(place, LAN, LAN_MTU);
    bridged(place, SAN, SAN_MTU);
    return place;
  }

  /** One more interface of a node's host on the storage network, with the same targets. */
  plugStorage(host: NetworkNamespace, name: string): void {
    plug(host, name, this.san, `more${++this.#plugged}`, SAN, SAN_MTU);
    host.ip(`link set ${name} addrgenmode none`);
    host.ip(`link set ${name} up`);
  }

  /** A host on the storage network that is none of the cluster's: whoever else is there. Its interface is called as a node's. */
  stranger(): NetworkNamespace {
    const host = new NetworkNamespace('cluster-stranger');
    this.#nodes.push(host);
    this.plugStorage(host, SAN_INTERFACE);
    return host;
  }

  /** A namespace with a wire to each network. */
  #wired(number: number, lan: string, san: string): NetworkNamespace {
    const node = new NetworkNamespace(`cluster-node${number}`);
    this.#nodes.push(node);
    node.ip('link set lo up');
    plug(node, lan, this.plane, `node${number}`, LAN, LAN_MTU);
    plug(node, san, this.san, `node${number}`, SAN, SAN_MTU);
    this.plane.ip(`route add ${podNetwork(number)} via ${nodeAddress(number)}`);
    return node;
  }

  remove(): void {
    for (const each of [...this.#nodes, this.plane, this.san]) each.remove();
  }
}

/** Starts a command line in a namespace. `ip netns exec` would hide /sys/fs/cgroup. */
export function inNetwork({ name }: NetworkNamespace): string[] {
  return ['nsenter', `--net=/run/netns/${name}`];
}

function forward(host: NetworkNamespace): void {
  const [program, ...words] = [...inNetwork(host), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'];
  execFileSync(program, words);
}

/** Joins a tap to the wire of that name. */
function bridged(place: NetworkNamespace, wire: string, mtu: number): void {
  const [bridge, tap] = [`bridge-${wire}`, tapOf(wire)];
  place.ip(`link add ${bridge} mtu ${mtu} type bridge`);
  place.ip(`tuntap add dev ${tap} mode tap`);
  for (const port of [wire, tap]) {
    place.ip(`link set ${port} addrgenmode none`);
    place.ip(`link set ${port} mtu ${mtu} master ${bridge} up`);
  }
  place.ip(`link set ${bridge} addrgenmode none`);
  place.ip(`link set ${bridge} up`);
}

/** A wire from a host's interface to a port of a switch. Each end is told its MTU: a peer that is not has 1500, and big frames vanish. */
function plug(host: NetworkNamespace, name: string, at: NetworkNamespace, port: string, bridge: string, mtu: number): void {
  const peer = `peer name ${port} mtu ${mtu} netns ${at.name}`;
  host.ip(`link add ${name} mtu ${mtu} type veth ${peer}`);
  at.ip(`link set ${port} addrgenmode none`);
  at.ip(`link set ${port} master ${bridge} up`);
}
