import type { ControlPlane } from './cluster-control-plane.ts';
import { Helm, REQUIRED } from './cluster-helm.ts';

/** Where the chart is installed. */
export const NAMESPACE = 'aoe-csi';

/** Installs the chart, for its definitions, rights and policies: no pod runs. */
export async function installRights(plane: ControlPlane, clusterId: string = REQUIRED.clusterId): Promise<void> {
  const chart = new Helm(plane.admin);
  try {
    await chart.install({ name: 'aoe-csi', namespace: NAMESPACE }, { ...REQUIRED, clusterId });
  } finally {
    chart.end();
  }
}

/** Somebody whose token is in a kubeconfig. @returns whether they may do something; in all namespaces where none is named */
export async function mayDo(
  plane: ControlPlane,
  kubeConfig: string,
  verb: string,
  what: string,
  namespace = '',
): Promise<boolean> {
  const [resource, group = ''] = what.split('@');
  const [kind, name = ''] = resource.split(':');
  const [plural, subresource = ''] = kind.split('/');
  const resourceAttributes = { namespace, verb, group, resource: plural, subresource, name };
  const { status } = (await plane.requestBy(kubeConfig, {
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } },
  })) as { status: { allowed: boolean } };
  return status.allowed;
}

/**
 * A token as a pod gets it.
 * @param node where the pod runs; without one the token is bound to nothing
 * @returns the path of a kubeconfig with it
 */
export async function kubeConfigOf(plane: ControlPlane, serviceAccount: string, node?: string): Promise<string> {
  const name = `${serviceAccount}-${node ?? 'unbound'}`;
  const pod = node === undefined ? undefined : await podOn(plane, name, serviceAccount, node);
  const boundObjectRef = pod && { apiVersion: 'v1', kind: 'Pod', name, uid: pod };
  const { status } = (await plane.request({
    method: 'POST',
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${serviceAccount}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { boundObjectRef } },
  })) as { status: { token: string } };
  return plane.kubeConfig(name, { token: status.token }, NAMESPACE);
}

async function podOn(plane: ControlPlane, name: string, serviceAccountName: string, nodeName: string): Promise<string> {
  await plane.request({ method: 'POST', path: '/api/v1/nodes', body: { metadata: { name: nodeName } } });
  const containers = [{ name: 'plugin', image: 'none' }];
  const { metadata } = (await plane.request({
    method: 'POST',
    path: `/api/v1/namespaces/${NAMESPACE}/pods`,
    body: { metadata: { name }, spec: { serviceAccountName, nodeName, containers } },
  })) as { metadata: { uid: string } };
  return metadata.uid;
}
