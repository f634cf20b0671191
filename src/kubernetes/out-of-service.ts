import type { ApiConnection } from './api-connection.ts';

/** A person has made sure that the node is off: https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-out-of-service */
const TAINT = 'node.kubernetes.io/out-of-service';

interface KubernetesNode {
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

/**
 * Whether the taint says that a node is out of service. Where that can't be found out it is not said.
 * @param nodeId the node's name in Kubernetes
 * @param onProblem hears why it can't be found out
 */
export async function isOutOfService(
  connection: ApiConnection,
  nodeId: string,
  onProblem: (message: string) => void,
): Promise<boolean> {
  try {
    const { status, body } = await connection.request({ method: 'GET', path: `/api/v1/nodes/${encodeURIComponent(nodeId)}` });
    if (status === 200) return (body as KubernetesNode).spec?.taints?.some(({ key }) => key === TAINT) === true;
    if (status !== 404) onProblem(`cannot look whether node ${nodeId} is out of service: the API server answers ${status}`);
  } catch (error) {
    onProblem(`cannot look whether node ${nodeId} is out of service: ${(error as Error).message}`);
  }
  return false;
}
