import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from './cluster-control-plane.ts';
import { pathOf } from './repository.ts';

/** The namespace that the manifests are for. */
export const NAMESPACE = 'aoe-csi';
const FOLDER = pathOf('deploy/kubernetes');
const RBAC = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

const COLLECTIONS: Readonly<Record<string, string>> = {
  ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  Role: `${RBAC}/roles`,
  RoleBinding: `${RBAC}/rolebindings`,
  ValidatingAdmissionPolicy: `${ADMISSION}/validatingadmissionpolicies`,
  ValidatingAdmissionPolicyBinding: `${ADMISSION}/validatingadmissionpolicybindings`,
};

/** Applies the manifests of deploy/kubernetes, word for word, to an API server that knows the kinds. */
export async function installRights(plane: ControlPlane): Promise<void> {
  await plane.createNamespace(NAMESPACE);
  for (const file of readdirSync(FOLDER).toSorted()) {
    for (const body of readFileSync(join(FOLDER, file), 'utf8').split(/^---$/m)) {
      const kind = /^kind: (\w+)$/m.exec(body)?.[1] ?? '';
      await plane.request({ method: 'POST', path: COLLECTIONS[kind], body, contentType: 'application/yaml' });
    }
  }
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
    path: `${COLLECTIONS['ServiceAccount']}/${serviceAccount}/token`,
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
