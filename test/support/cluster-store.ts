import { randomBytes } from 'node:crypto';
import { KubernetesStore, type KubernetesStoreOptions } from '../../src/kubernetes/kubernetes-store.ts';
import type { Store } from '../../src/volumes/store.ts';
import type { ControlPlane } from './cluster-control-plane.ts';
import { eventually } from './faults-process.ts';
import { pathOf } from './repository.ts';
import type { StoreLaboratory } from './store-conformance.ts';
import type { StoreOpener } from './store-process.ts';

const CRDS = ['aoetargets', 'aoenodes'].map((plural) => pathOf(`deploy/helm/definitions/${plural}.aoe.csi.dev.yaml`));
const ESTABLISHED_MS = 20_000;

/** For store-worker.ts. */
export async function openStore(kubeConfig: string): Promise<Store> {
  return KubernetesStore.open({ kubeConfig });
}

/** As a person does, and waits until the API server knows them. */
export async function installCrds(plane: ControlPlane): Promise<void> {
  for (const file of CRDS) await plane.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', file);
  let last: unknown;
  const look = async (): Promise<boolean> => {
    try {
      await (await KubernetesStore.open({ kubeConfig: plane.admin })).close();
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  };
  await eventually('the API server to know our kinds', ESTABLISHED_MS, look).catch((error: Error) => {
    throw new Error(`${error.message}: ${String(last)}`);
  });
}

/** A store in a namespace of its own. Nothing is deleted at the end: the API server goes with its test. */
export class ClusterLaboratory implements StoreLaboratory {
  readonly namespace = `store-${randomBytes(6).toString('hex')}`;
  readonly kubeConfig: string;
  readonly opener: StoreOpener;
  readonly problems: string[] = [];
  readonly #opened: KubernetesStore[] = [];

  constructor(plane: ControlPlane) {
    this.kubeConfig = plane.adminIn(this.namespace);
    this.opener = { module: import.meta.url, argument: this.kubeConfig };
  }

  static async make(plane: ControlPlane): Promise<ClusterLaboratory> {
    const laboratory = new ClusterLaboratory(plane);
    await plane.createNamespace(laboratory.namespace);
    return laboratory;
  }

  async open(options: KubernetesStoreOptions = {}): Promise<KubernetesStore> {
    const onProblem = (message: string): void => void this.problems.push(message);
    // As controllers have it: what is promised holds with what it remembers, too. Other processes remember nothing.
    const store = await KubernetesStore.open({ kubeConfig: this.kubeConfig, onProblem, remembersNodes: true, ...options });
    this.#opened.push(store);
    return store;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#opened.map(async (store) => store.close()));
  }
}

/** What a call failed with: `unavailable: cannot …`; `nothing` when it did not. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'nothing';
  } catch (error) {
    const { code, name, message } = error as { code?: string; name: string; message: string };
    return `${code ?? name}: ${message}`;
  }
}
