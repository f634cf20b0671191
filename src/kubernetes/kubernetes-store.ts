import { KubeConfig } from '@kubernetes/client-node';
import { VolumeError } from '../volumes/errors.ts';
import { nodeRecordProblem, targetRecordProblem } from '../volumes/record-check.ts';
import type { NodeRecord, TargetRecord } from '../volumes/records.ts';
import type { Election } from '../volumes/election.ts';
import type { NodeCondition, NodeTasks, Store } from '../volumes/store.ts';
import { ApiConnection } from './api-connection.ts';
import { answered } from './api-failure.ts';
import { requireCluster } from './cluster-id.ts';
import { ClusterNodes } from './cluster-nodes.ts';
import { LeaderLease } from './leader-lease.ts';
import { MetadataWatcher } from './metadata-watcher.ts';
import { NodeCollection } from './node-collection.ts';
import { NodeConditions } from './node-conditions.ts';
import { NodeLeases } from './node-leases.ts';
import { ObjectCollection, type CollectionParts } from './object-collection.ts';
import { API_VERSION, NODES, TARGETS, type Resource } from './resources.ts';
import { SharedSights } from './shared-sights.ts';

/** Records in one answer to a listing: a target's has about a kilobyte, a node's up to a megabyte. */
const TARGETS_PAGE = 500;
const NODES_PAGE = 50;
/** The definition of AoeTarget says that it can be selected by this (custom-resources.ts). */
const TASK_NODE = 'spec.task.nodeId';
/** A watch tells of every change; a server whose data was restored from a backup may keep some to itself. */
const RESCAN_MS = 300_000;

export interface KubernetesStoreOptions {
  /** Where the objects are; the namespace of the pod, or of the kubeconfig's context, where it is left out. */
  readonly namespace?: string | undefined;
  /** Whose the store is: written into a new one, and compared with what is there. Left out by those who only look. */
  readonly clusterId?: string;
  /** A file; where it is left out, as kubectl finds it (KUBECONFIG), or the service account of the pod. */
  readonly kubeConfig?: string;
  /** Hears what a person should know and no caller is told: damaged records that a listing left out, an API server that is away. */
  readonly onProblem?: (message: string) => void;
  /**
   * Keep the records of all nodes, and read again only those that have changed: for who lists them all the time. With many nodes and
   * targets they are a hundred megabytes to read, and some to keep.
   */
  readonly remembersNodes?: boolean;
  /** For tests: a watch that has heard nothing for so long is given up. */
  readonly silenceMs?: number;
}

/** The store of a Kubernetes cluster: an object for each record, AoeTarget and AoeNode, in one namespace of the API server. */
export class KubernetesStore implements Store {
  readonly targets: ObjectCollection<TargetRecord>;
  readonly nodes: NodeCollection;
  readonly namespace: string;
  readonly #place: Place;
  readonly #clusterNodes: ClusterNodes;
  readonly #conditions: NodeConditions;
  readonly #narrowed: ObjectCollection<TargetRecord>[] = [];

  /**
   * @throws VolumeError `unavailable` when the API server does not answer or does not know the kinds of objects; `failed-precondition`
   * when there is no configuration, the objects may not be read, or they are another cluster's
   */
  static async open(options: KubernetesStoreOptions = {}): Promise<KubernetesStore> {
    const config = configuration(options.kubeConfig);
    const namespace = options.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
    const connection = new ApiConnection(config);
    try {
      const place = { connection, namespace, onProblem: options.onProblem ?? (() => undefined), silenceMs: options.silenceMs };
      const [targets, nodes] = [partsOf(place, TARGETS, TARGETS_PAGE), partsOf(place, NODES, NODES_PAGE)];
      for (const { watcher, attempt } of [targets, nodes]) await answered(attempt, false, async () => watcher.begin());
      if (options.clusterId !== undefined) await requireCluster(connection, namespace, options.clusterId);
      const sights = new SharedSights();
      return new KubernetesStore(
        place,
        new ObjectCollection<TargetRecord>({ ...targets, problemOf: targetRecordProblem }),
        new NodeCollection(
          new ObjectCollection<NodeRecord>({
            ...nodes,
            problemOf: nodeRecordProblem,
            ...(options.remembersNodes === true ? { kept: (record) => sights.shared(record) } : {}),
          }),
          new NodeLeases(connection, namespace),
        ),
      );
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  private constructor(place: Place, targets: ObjectCollection<TargetRecord>, nodes: NodeCollection) {
    this.#place = place;
    this.namespace = place.namespace;
    this.#clusterNodes = new ClusterNodes(place.connection, place.onProblem);
    this.#conditions = new NodeConditions(place.connection, place.namespace);
    this.targets = targets;
    this.nodes = nodes;
  }

  tasksAt(nodeId: string): NodeTasks {
    const parts = partsOf(this.#place, TARGETS, TARGETS_PAGE, `${TASK_NODE}=${escaped(nodeId)}`);
    const tasks = new ObjectCollection<TargetRecord>({ ...parts, problemOf: targetRecordProblem });
    this.#narrowed.push(tasks);
    return { list: async () => tasks.list(), watch: (changed) => tasks.watch(changed), rescanMs: RESCAN_MS };
  }

  elect(holder: string): Election {
    return new LeaderLease({ ...this.#place, holder });
  }

  async isOutOfService(nodeId: string): Promise<boolean> {
    return this.#clusterNodes.isOutOfService(nodeId);
  }

  async isGone(nodeId: string): Promise<boolean> {
    return this.#clusterNodes.isGone(nodeId);
  }

  async showConditions(nodeId: string, conditions: readonly NodeCondition[]): Promise<void> {
    return this.#conditions.show(nodeId, conditions);
  }

  async nowMs(): Promise<number> {
    const { connection, namespace } = this.#place;
    const attempt = { what: 'ask the API server for the time', resource: NODES, namespace };
    return answered(attempt, false, async () => connection.timeMs());
  }

  /** Ends watching and waits for requests under way; later calls are refused. */
  async close(): Promise<void> {
    this.targets.close();
    this.nodes.close();
    for (const tasks of this.#narrowed) tasks.close();
    await this.#place.connection.close();
  }
}

/** What all collections of a store have in common. */
interface Place extends Pick<CollectionParts, 'connection' | 'namespace' | 'onProblem'> {
  readonly silenceMs: number | undefined;
}

function partsOf({ silenceMs, ...place }: Place, resource: Resource, page: number, fieldSelector?: string) {
  const { namespace } = place;
  const path = `/apis/${API_VERSION}/namespaces/${encodeURIComponent(namespace)}/${resource.plural}`;
  const attempt = { what: `watch ${resource.plural} in namespace ${namespace}`, resource, namespace };
  const watcher = new MetadataWatcher({ ...place, path, fieldSelector, attempt, silenceMs });
  return { ...place, resource, path, fieldSelector, page, watcher, attempt };
}

/** In a selector, backslashes, commas and equals signs of a value are escaped. */
function escaped(value: string): string {
  return value.replaceAll(/[\\,=]/g, String.raw`\$&`);
}

function configuration(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (error) {
    throw new VolumeError(
      'failed-precondition',
      `cannot read the kubeconfig: ${(error as Error).message}; name one in KUBECONFIG, or run in a pod with a service account`,
    );
  }
  // Without any configuration the library names a place where nobody is.
  const server = config.getCurrentCluster()?.server ?? '';
  if (server.startsWith('https://')) return config;
  throw new VolumeError(
    'failed-precondition',
    `cannot use '${server}' as API server: name a kubeconfig with an https server in KUBECONFIG, or run in a pod with a service account`,
  );
}
