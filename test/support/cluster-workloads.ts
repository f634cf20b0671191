import type { Cluster } from './cluster.ts';
import { BUSYBOX_IMAGE } from './cluster-images.ts';
import { CLASS, DRIVER_NAME } from './cluster-driver.ts';
import type { KubernetesObject } from './cluster-kubectl.ts';

const BIND_MS = 60_000;
const RUN_MS = 90_000;
/** Where a pod has its volume. */
export const MOUNT = '/data';
export const DEVICE = '/dev/volume';

export interface ClaimOptions {
  readonly size: string;
  readonly className?: string;
  readonly mode?: string;
  readonly block?: boolean;
}

export interface PodOptions {
  readonly claim: string;
  /** Where it must run; the scheduler decides when this is left out. */
  readonly node?: string;
  readonly block?: boolean;
  /** Of a shell; it does nothing when this is left out. */
  readonly script?: string;
  readonly readOnly?: boolean;
  /** More of the mount, e.g. `subPath`. */
  readonly mount?: object;
  /** More of the pod's specification. */
  readonly spec?: object;
}

/** A volume that a person enters. */
export interface StaticOptions {
  /** `e10.3` */
  readonly target: string;
  readonly size: string;
  readonly mode: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Claims and pods of a test, in a namespace of its own. */
export class Workloads {
  readonly #cluster: Cluster;
  readonly namespace: string;

  private constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster;
    this.namespace = namespace;
  }

  static async create(cluster: Cluster, namespace: string): Promise<Workloads> {
    await cluster.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    const account = ['serviceaccount/default', `--namespace=${namespace}`];
    await cluster.until('pods to be allowed', BIND_MS, async () => cluster.kubectl.get(...account));
    return new Workloads(cluster, namespace);
  }

  /** Makes an object of Kubernetes' own. */
  async apply(kind: string, name: string, spec: object): Promise<void> {
    await this.#cluster.kubectl.apply({ apiVersion: 'v1', kind, metadata: { name, namespace: this.namespace }, spec });
  }

  async claim(name: string, { size, className = CLASS, mode = 'ReadWriteOnce', block = false }: ClaimOptions): Promise<void> {
    await this.apply('PersistentVolumeClaim', name, {
      storageClassName: className,
      accessModes: [mode],
      volumeMode: block ? 'Block' : 'Filesystem',
      resources: { requests: { storage: size } },
    });
  }

  /** Waits until the claim has a volume. @returns the target that it is on */
  async bound(name: string): Promise<string> {
    const bound = await this.#cluster.until(`claim ${name} to be bound`, BIND_MS, async () => {
      const claim = await this.get('pvc', name);
      return claim.status?.phase === 'Bound' && claim;
    });
    const volume = await this.#cluster.kubectl.get('pv', String(bound.spec['volumeName']));
    return (volume.spec['csi'] as { volumeHandle: string }).volumeHandle.split('@')[0];
  }

  /** A PersistentVolume for a target as it is, and its claim, both of this name. */
  async static(name: string, { target, size, mode, attributes }: StaticOptions): Promise<void> {
    const accessModes = [mode];
    await this.#cluster.kubectl.apply({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: size },
        accessModes,
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: this.namespace, name },
        csi: { driver: DRIVER_NAME, volumeHandle: target, volumeAttributes: attributes },
      },
    });
    const resources = { requests: { storage: size } };
    await this.apply('PersistentVolumeClaim', name, { storageClassName: '', volumeName: name, accessModes, resources });
  }

  async removeStatic(name: string): Promise<void> {
    await this.delete('pvc', name);
    await this.#cluster.kubectl.delete('pv', name);
  }

  async pod(name: string, options: PodOptions): Promise<void> {
    const { claim, node, block = false, script = 'true', readOnly = false, mount = {}, spec = {} } = options;
    const place = block
      ? { volumeDevices: [{ name: 'data', devicePath: DEVICE }] }
      : { volumeMounts: [{ name: 'data', mountPath: MOUNT, ...mount }] };
    // As the first process it gets signals only if it handles them. It stays when the script has ended.
    const command = ['sh', '-c', `trap 'exit 0' TERM; (${script}; sleep 1000000) & wait`];
    await this.apply('Pod', name, {
      ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      tolerations: [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 600 }],
      containers: [{ name: 'main', image: BUSYBOX_IMAGE, imagePullPolicy: 'Never', command, ...place }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: claim, readOnly } }],
      ...spec,
    });
  }

  /** Waits until the pod runs. @returns the node that it runs on */
  async running(name: string): Promise<string> {
    const pod = await this.#cluster.until(`pod ${name} to run`, RUN_MS, async () => {
      const found = await this.get('pod', name);
      return found.status?.phase === 'Running' && found;
    });
    return String(pod.spec['nodeName']);
  }

  /** Runs a script in a pod and returns what it prints. */
  async run(pod: string, script: string): Promise<string> {
    return (await this.#cluster.kubectl.run('exec', `--namespace=${this.namespace}`, pod, '--', 'sh', '-c', script)).trim();
  }

  /** What a pod has printed. */
  async logs(pod: string): Promise<string> {
    return this.#cluster.kubectl.run('logs', `--namespace=${this.namespace}`, pod);
  }

  async patch(kind: string, name: string, change: object): Promise<void> {
    await this.#cluster.kubectl.run('patch', kind, name, `--namespace=${this.namespace}`, '--patch', JSON.stringify(change));
  }

  async get(kind: string, name: string): Promise<KubernetesObject> {
    return this.#cluster.kubectl.get(kind, name, `--namespace=${this.namespace}`);
  }

  async delete(kind: string, name: string): Promise<void> {
    await this.#cluster.kubectl.delete(kind, name, `--namespace=${this.namespace}`);
  }

  /** Waits for an event about an object. @returns its message */
  async event(name: string, pattern: RegExp): Promise<string> {
    return this.#cluster.until(`an event on ${name} like ${String(pattern)}`, BIND_MS, async () => {
      const words = [`--namespace=${this.namespace}`, `--field-selector=involvedObject.name=${name}`];
      const events = await this.#cluster.kubectl.list('events', ...words);
      return events.map((event) => String(event['message'])).find((message) => pattern.test(message));
    });
  }

  /** Deletes all of it. */
  async remove(): Promise<void> {
    await this.#cluster.kubectl.delete('namespace', this.namespace);
  }
}
