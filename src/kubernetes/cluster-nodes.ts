import type { ApiConnection } from './api-connection.ts';
import { saysThereIsNone } from './api-failure.ts';

/** A person has made sure that the node is off: https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-out-of-service */
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

interface KubernetesNode {
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

/** What the cluster says of its nodes, by their names. Where that can't be found out, nothing is said. */
export class ClusterNodes {
  readonly #connection: ApiConnection;
  readonly #onProblem: (message: string) => void;

  /** @param onProblem hears why something can't be found out */
  constructor(connection: ApiConnection, onProblem: (message: string) => void) {
    this.#connection = connection;
    this.#onProblem = onProblem;
  }

  /** Whether the taint says so. */
  async isOutOfService(name: string): Promise<boolean> {
    const node = await this.#look(name, 'is out of service');
    return node !== undefined && node !== 'none' && node.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) === true;
  }

  /** Whether there is no node of this name. */
  async isGone(name: string): Promise<boolean> {
    return (await this.#look(name, 'is gone')) === 'none';
  }

  async #look(name: string, what: string): Promise<KubernetesNode | 'none' | undefined> {
    const cannot = `cannot look whether node ${name} ${what}`;
    try {
      const answer = await this.#connection.request({ method: 'GET', path: `/api/v1/nodes/${encodeURIComponent(name)}` });
      if (answer.status === 200) return answer.body as KubernetesNode;
      if (saysThereIsNone(answer, name)) return 'none';
      this.#onProblem(`${cannot}: the API server answers ${answer.status}`);
    } catch (error) {
      this.#onProblem(`${cannot}: ${(error as Error).message}`);
    }
    return undefined;
  }
}
