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
import type { ClusterNode, NodeKind } from './cluster-node.ts';
import { provideClusterPrograms } from './cluster-programs.ts';
import { ClusterTargets } from './cluster-targets.ts';
import { detachDeadLoops } from './leftovers.ts';
import { patiently } from './patience.ts';

const NODES = 2;
const READY_MS = 60_000;
const LOOK_MS = 500;

/** A Kubernetes cluster on this machine: control plane, nodes that run pods, and a storage network with targets. */
export class Cluster<Node extends ClusterNode = ClusterNode> {
  /** Its name says whose it is: leftovers.ts. */
  readonly folder = mkdtempSync(join(tmpdir(), `aoe-csi-cluster-${process.pid}-`));
  readonly network = new ClusterNetwork();
  readonly targets = new ClusterTargets(this.network, join(this.folder, 'disks'));
  readonly nodes: Node[] = [];
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
    for (const node of this.nodes) await node.end();
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
    const booting = Promise.all(Array.from({ length: NODES }, async (_, index) => this.#boot(index + 1, images)));
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
    for (const node of this.nodes) await node.startKubelet(plane);
    await this.until('the nodes to be ready', READY_MS, async () => {
      this.#managers?.requireRunning();
      for (const node of this.nodes) node.requireRunning();
      const nodes = await this.kubectl.list('nodes');
      return nodes.length === NODES && nodes.every(isNodeReady);
    });
  }

  async #boot(number: number, images: readonly string[]): Promise<void> {
    const node = this.#kind.make({ number, folder: join(this.folder, `node-${number}`), network: this.network });
    this.nodes.push(node);
    await node.boot(images);
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
