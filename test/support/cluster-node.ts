import type { ControlPlane } from './cluster-control-plane.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import type { Requirement } from './requires.ts';

/** A machine that can be one of a cluster's nodes. Its kinds: cluster-native-node.ts, cluster-guest-node.ts. */
export interface ClusterNode {
  readonly name: string;
  /** A folder with what tells why something failed. */
  readonly logs: string;
  /** Where this machine sees the node's /var/log/pods. */
  readonly podLogs: string;
  /** Starts the machine and containerd. @param images archives that it shall have */
  boot(images: readonly string[]): Promise<void>;
  /** Starts what makes the node one of the cluster's. */
  startKubelet(plane: ControlPlane): Promise<void>;
  /** Runs a command line on the node and returns what it prints. @throws Error unless it succeeds */
  run(...words: readonly string[]): Promise<string>;
  /** Nothing on the node runs until it is thawed, and then all goes on where it was. */
  freeze(): void;
  thaw(): void;
  /** @throws Error when what a node consists of does not run */
  requireRunning(): void;
  /** Cuts the power, or shuts it down: for a machine that is thrown away it is the same. */
  end(): Promise<void>;
}

export interface NodeOptions {
  readonly number: number;
  readonly folder: string;
  /** Not yet joined. */
  readonly network: ClusterNetwork;
}

/** What a cluster's nodes are. */
export interface NodeKind<T extends ClusterNode = ClusterNode> {
  readonly make: (options: NodeOptions) => T;
  /** What it needs of this machine. */
  readonly requirements: readonly Requirement[];
  /** How many times longer things take than on a native node. */
  readonly slowness: number;
  /** What one node more is, that runs controllers and nothing else; undefined where the others have time for them. */
  readonly controllers?: NodeKind;
}
