import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from './cluster-certificates.ts';
import { ControlPlane } from './cluster-control-plane.ts';
import { copyLogs } from './cluster-evidence.ts';
import { Helm } from './cluster-helm.ts';
import { busyboxImage, pauseImage } from './cluster-images.ts';
import { Kubectl, type KubernetesObject } from './cluster-kubectl.ts';
import { ClusterManagers } from './cluster-managers.ts';
import { ClusterNetwork, inNetwork, PLANE_ADDRESS, SERVICE_ADDRESS } from './cluster-network.ts';
import type { ClusterNode, NodeKind, NodeOptions } from './cluster-node.ts';
import { provideClusterPrograms } from './cluster-programs.ts';
import { ClusterTargets } from './cluster-targets.ts';
import { detachDeadLoops } from './leftovers.ts';
import { patiently } from './patience.ts';

const NODES = 2;
/** Label and taint of the node that runs controllers and nothing else. */
export const CONTROLLERS_ONLY = 'aoe-csi-test/controllers-only';
const READY_MS = 60_000;
const LOOK_MS = 500;

/** A Kubernetes cluster on this machine: control plane, nodes that run pods, and a storage network with targets. */
export class Cluster<Node extends ClusterNode = ClusterNode> {
  /** Its name says whose it is: leftovers.ts. */
  readonly folder = mkdtempSync(join(tmpdir(), `aoe-csi-cluster-${process.pid}-`));
  readonly network = new ClusterNetwork();
  readonly targets = new ClusterTargets(this.network, join(this.folder, 'disks'));
  /** Those that have the driver. */
  readonly nodes: Node[] = [];
  /** All, with the one that runs controllers, where there is one. */
  readonly machines: ClusterNode[] = [];
  readonly #kind: NodeKind<Node>;
  #plane: ControlPlane | undefined;
  #managers: ClusterManagers | undefined;
  #kubectl: Kubectl | undefined;
  #helm: Helm | undefined;

  private constructor(kind: NodeKind<Node>) {
    this.#kind = kind;
  }

  /** @param images archives that every node shall have */
  static async start<T extends ClusterNode>(kind: NodeKind<T>, images: readonly string[]): Promise<Cluster<T>> {
    provideClusterPrograms();
    const cluster = new Cluster(kind);
    try {
      await cluster.#start([pauseImage(), busyboxImage(), ...images]);
      return cluster;
    } catch (error) {
      await cluster.keep();
      await cluster.end();
      throw error;
    }
  }

  get kubectl(): Kubectl {
    if (this.#kubectl === undefined) throw new Error('there is no API server yet');
    return this.#kubectl;
  }

  get plane(): ControlPlane {
    if (this.#plane === undefined) throw new Error('there is no API server yet');
    return this.#plane;
  }

  get helm(): Helm {
    if (this.#helm === undefined) throw new Error('there is no API server yet');
    return this.#helm;
  }

  node(name: string): Node {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  /** Looks until `look` answers something. Failures of a look are passing ones, the last of which is told when time is up. */
  readonly until = async <T>(what: string, timeoutMs: number, look: () => Promise<T | undefined | false>): Promise<T> => {
    const limitMs = this.patiently(timeoutMs);
    const endMs = Date.now() + limitMs;
    let last = '';
    for (;;) {
      try {
        const found = await look();
        if (found !== undefined && found !== false) return found;
      } catch (error) {
        last = `; ${(error as Error).message}`;
      }
      if (Date.now() >= endMs) throw new Error(`waited ${String(limitMs)} ms in vain for ${what}${last}`);
      await sleep(LOOK_MS);
    }
  };

  /** An upper bound for what takes so long with native nodes on a quiet machine. */
  patiently(ms: number): number {
    return patiently(ms * this.#kind.slowness);
  }

  /**
   * Copies what a person wants to see after a failure.
   * @returns the folder, which stays
   */
  async keep(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-failed-cluster-'));
    await copyLogs(this, folder);
    process.stderr.write(`logs and objects of the cluster are in ${folder}\n`);
    return folder;
  }

  async end(): Promise<void> {
    for (const machine of this.machines) await machine.end();
    detachDeadLoops();
    await this.targets.end();
    await this.#managers?.end();
    await this.#plane?.end();
    this.#helm?.end();
    this.network.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #start(images: readonly string[]): Promise<void> {
    const launcher = inNetwork(this.network.plane);
    const booting = Promise.all(this.#machines().map(async (machine) => machine.boot(images)));
    const plane = await ControlPlane.start({
      address: PLANE_ADDRESS,
      port: 443,
      otherAddresses: [SERVICE_ADDRESS],
      launcher,
      words: apiServerWords,
      isReady: async (admin) => isReady(new Kubectl(launcher, admin)),
    });
    this.#plane = plane;
    this.#kubectl = new Kubectl(launcher, plane.admin);
    this.#helm = new Helm(plane.admin, launcher);
    const logs = join(this.folder, 'logs');
    mkdirSync(logs);
    this.#managers = new ClusterManagers(plane, launcher, logs);
    await booting;
    for (const machine of this.machines) await machine.startKubelet(plane);
    await this.until('the nodes to be ready', READY_MS, async () => {
      this.#managers?.requireRunning();
      for (const machine of this.machines) machine.requireRunning();
      const nodes = await this.kubectl.list('nodes');
      return nodes.length === this.machines.length && nodes.every(isNodeReady);
    });
    for (const { name } of this.machines.slice(NODES)) {
      await this.kubectl.run('label', 'node', name, `${CONTROLLERS_ONLY}=yes`);
      await this.kubectl.run('taint', 'node', name, `${CONTROLLERS_ONLY}=yes:NoSchedule`);
    }
  }

  /** Makes all, none of which runs yet. */
  #machines(): readonly ClusterNode[] {
    const { controllers } = this.#kind;
    for (let number = 1; number <= NODES; number++) this.nodes.push(this.#kind.make(this.#options(number)));
    this.machines.push(...this.nodes);
    if (controllers !== undefined) this.machines.push(controllers.make(this.#options(NODES + 1)));
    return this.machines;
  }

  #options(number: number): NodeOptions {
    return { number, folder: join(this.folder, `node-${number}`), network: this.network };
  }
}

function apiServerWords(certificates: Certificates): string[] {
  const { certificate, key } = certificates.client('kubelet-client', 'system:masters');
  return [
    `--advertise-address=${PLANE_ADDRESS}`,
    `--kubelet-client-certificate=${certificate}`,
    `--kubelet-client-key=${key}`,
    '--kubelet-preferred-address-types=InternalIP',
  ];
}

async function isReady(kubectl: Kubectl): Promise<boolean> {
  try {
    return (await kubectl.run('get', '--raw=/readyz')) === 'ok';
  } catch {
    return false;
  }
}

function isNodeReady({ status }: KubernetesObject): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}
