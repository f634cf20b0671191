import type { Cluster } from './cluster.ts';
import type { KubernetesObject } from './cluster-kubectl.ts';
import { SAN_INTERFACE } from './cluster-network.ts';

export const DRIVER_NAME = 'aoe.csi.dev';
export const DRIVER_NAMESPACE = 'aoe-csi';
const RELEASE = { name: 'aoe-csi', namespace: DRIVER_NAMESPACE };
const RUN_MS = 120_000;
const FREE_MS = 60_000;

/** StorageClasses of the installation. */
export const CLASS = 'aoe';
export const CLASS_LATE = 'aoe-late';
export const CLASS_NOWHERE = 'aoe-nowhere';

/** What is installed for tests: with devices by FUSE, which can't be handed over. */
const VALUES = {
  clusterId: 'cluster-test',
  interfaces: [SAN_INTERFACE],
  logLevel: 'debug',
  image: { pullPolicy: 'Never' },
  initiator: { attach: 'fuse' },
  node: { updateStrategy: { type: 'OnDelete', rollingUpdate: null }, deadAfterSeconds: 5 },
  capacity: { pollInterval: '5s' },
  storageClasses: [
    { name: CLASS, volumeBindingMode: 'Immediate' },
    { name: CLASS_LATE, volumeBindingMode: 'WaitForFirstConsumer' },
    { name: CLASS_NOWHERE, volumeBindingMode: 'Immediate', parameters: { interfaces: 'none*' } },
  ],
};

/** The driver, installed in a cluster from the chart. */
export class ClusterDriver {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Installs it and waits until controllers and nodes are ready, and the kubelets know it. */
  async install(): Promise<void> {
    await this.#cluster.helm.install(RELEASE, VALUES);
    await this.ready();
  }

  async ready(): Promise<void> {
    const { until, kubectl, nodes } = this.#cluster;
    await until('the driver to run', RUN_MS, async () => {
      const pods = await this.list('pods');
      return pods.length > nodes.length && pods.every(isPodReady);
    });
    await until('the kubelets to know the driver', RUN_MS, async () => {
      const known = await kubectl.list('csinodes');
      return known.length === nodes.length && known.every(({ spec }) => JSON.stringify(spec).includes(DRIVER_NAME));
    });
  }

  /** Objects of a kind in the driver's namespace. */
  async list(kind: string, ...words: readonly string[]): Promise<readonly KubernetesObject[]> {
    return this.#cluster.kubectl.list(kind, `--namespace=${DRIVER_NAMESPACE}`, ...words);
  }

  /** What the inventory says of a target. */
  async target(name: string): Promise<KubernetesObject> {
    return this.#cluster.kubectl.get('aoetarget', name, `--namespace=${DRIVER_NAMESPACE}`);
  }

  /** Waits until a target may be taken. */
  async free(name: string): Promise<void> {
    await this.#cluster.until(`${name} to be free`, FREE_MS, async () => (await this.target(name)).spec['state'] === 'Available');
  }
}

function isPodReady({ status }: KubernetesObject): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}
