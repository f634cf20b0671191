import type { Cluster } from './cluster.ts';
import type { Release, Values } from './cluster-helm.ts';
import type { KubernetesObject } from './cluster-kubectl.ts';
import { SAN_INTERFACE } from './cluster-network.ts';

export const DRIVER_NAMESPACE = 'aoe-csi';
export const DRIVER_NAME = 'aoe.csi.dev';
/** The pods of controllers. */
export const CONTROLLERS = '--selector=app.kubernetes.io/component=controller';
const NODES = '--selector=app.kubernetes.io/component=node';
const RUN_MS = 120_000;
const ROLLED_OUT_MS = 120_000;
/** Nodes ask targets whose they are once a minute. */
const REACH_MS = 90_000;

/** StorageClasses of the first installation. */
export const CLASS = 'aoe';
export const CLASS_LATE = 'aoe-late';
export const CLASS_NOWHERE = 'aoe-nowhere';
export const CLASS_XFS = 'aoe-xfs';
/** A VolumeAttributesClass of it. */
export const ATTRIBUTES = 'gives-up';

/** An installation: there may be several in a cluster. */
export interface Installation {
  /** Of the release and of its namespace. */
  readonly name: string;
  readonly driverName: string;
  readonly clusterId: string;
  readonly metricsPort: number;
  readonly storageClasses: readonly { readonly name: string; readonly [field: string]: unknown }[];
  /** From the chart's defaults; what native nodes need, when this is left out. */
  readonly differences?: Values;
  /** More values, in place of those that all have. */
  readonly more?: Values;
}

export const FIRST: Installation = {
  name: DRIVER_NAMESPACE,
  driverName: DRIVER_NAME,
  clusterId: 'cluster-test',
  metricsPort: 9810,
  storageClasses: [
    { name: CLASS, volumeBindingMode: 'Immediate' },
    { name: CLASS_LATE, volumeBindingMode: 'WaitForFirstConsumer' },
    { name: CLASS_XFS, volumeBindingMode: 'Immediate', parameters: { 'csi.storage.k8s.io/fstype': 'xfs' } },
    { name: CLASS_NOWHERE, volumeBindingMode: 'Immediate', parameters: { interfaces: 'none*' } },
  ],
  more: { volumeAttributesClasses: [{ name: ATTRIBUTES, parameters: { deadSeconds: '120' } }] },
};

/** Of every node here. */
export const NODE_VALUES: Values = { updateStrategy: { type: 'OnDelete', rollingUpdate: null }, deadAfterSeconds: 5 };

/** With devices by FUSE, which can't be handed over. */
const NATIVE_NODES: Values = {
  logLevel: 'debug',
  image: { pullPolicy: 'Never' },
  initiator: { attach: 'fuse' },
  node: NODE_VALUES,
  capacity: { pollInterval: '5s' },
};

function values(installation: Installation): Values {
  const { driverName, clusterId, metricsPort, storageClasses, differences = NATIVE_NODES, more } = installation;
  return {
    ...{ driverName, clusterId, storageClasses },
    interfaces: [SAN_INTERFACE],
    metrics: { port: metricsPort },
    test: { storageClass: storageClasses[0].name },
    ...differences,
    ...more,
  };
}

/** The driver, installed in a cluster from the chart. */
export class ClusterDriver {
  readonly #cluster: Cluster;
  readonly #installation: Installation;

  constructor(cluster: Cluster, installation = FIRST) {
    this.#cluster = cluster;
    this.#installation = installation;
  }

  /** Installs it and waits until controllers and nodes are ready, and the kubelets know it. */
  async install(): Promise<void> {
    await this.begin();
    await this.ready();
  }

  /** Installs it, and does not wait for what comes of it. */
  async begin(): Promise<void> {
    await this.#cluster.helm.install(this.#release, values(this.#installation));
  }

  /** Changes values of the installation, and does not wait for what comes of it. */
  async upgrade(differences: Values): Promise<void> {
    await this.#cluster.helm.upgrade(this.#release, { ...values(this.#installation), ...differences });
  }

  async uninstall(): Promise<void> {
    await this.#cluster.helm.uninstall(this.#release);
  }

  async ready(): Promise<void> {
    const { until, kubectl, nodes } = this.#cluster;
    await until('the driver to run', RUN_MS, async () => {
      const pods = await this.list('pods');
      return pods.length > nodes.length && pods.every(isPodReady);
    });
    await until('the kubelets to know the driver', RUN_MS, async () => {
      const known = await kubectl.list('csinodes');
      const ready = known.filter(({ spec }) => JSON.stringify(spec).includes(`"${this.#installation.driverName}"`));
      return ready.length === nodes.length;
    });
  }

  /** Objects of a kind in the driver's namespace. */
  async list(kind: string, ...words: readonly string[]): Promise<readonly KubernetesObject[]> {
    return this.#cluster.kubectl.list(kind, `--namespace=${this.#installation.name}`, ...words);
  }

  /** What the inventory says of a target. */
  async target(name: string): Promise<KubernetesObject> {
    return this.#cluster.kubectl.get('aoetarget', name, `--namespace=${this.#installation.name}`);
  }

  /** The names of the pods with initiator and node plugin. */
  async nodePods(): Promise<string[]> {
    return (await this.list('pods', NODES)).map(({ metadata }) => metadata.name).toSorted();
  }

  /** Waits until none of these pods is there, and others are in their place. @returns their names */
  async nodePodsAfter(before: readonly string[]): Promise<readonly string[]> {
    return this.#cluster.until('new pods on all nodes', ROLLED_OUT_MS, async () => {
      const names = await this.nodePods();
      return names.length === before.length && names.every((name) => !before.includes(name)) && names;
    });
  }

  /** The name of the pod with initiator and node plugin on a node. */
  async nodePod(node: string): Promise<string> {
    const [pod] = await this.list('pods', NODES, `--field-selector=spec.nodeName=${node}`);
    return pod.metadata.name;
  }

  /** What a container of the pod on a node has said. */
  async log(node: string, container: string): Promise<string> {
    return this.podLog(await this.nodePod(node), container);
  }

  async podLog(pod: string, container: string): Promise<string> {
    return this.#cluster.kubectl.run('logs', pod, `--namespace=${this.#installation.name}`, `--container=${container}`);
  }

  /** Runs a command line in the initiator's container on a node, and returns what it prints. */
  async inInitiator(node: string, ...words: readonly string[]): Promise<string> {
    const place = [`--namespace=${this.#installation.name}`, '--container=initiator'];
    return this.#cluster.kubectl.run('exec', await this.nodePod(node), ...place, '--', ...words);
  }

  /** Waits until the inventory says so of a target. */
  async reaches(name: string, state: string): Promise<void> {
    await this.#cluster.until(`${name} to be ${state}`, REACH_MS, async () => (await this.target(name)).spec['state'] === state);
  }

  /** Waits until a target may be taken. */
  async free(name: string): Promise<void> {
    await this.reaches(name, 'Available');
  }

  get #release(): Release {
    const { name } = this.#installation;
    return { name, namespace: name };
  }
}

function isPodReady({ status }: KubernetesObject): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}
