import { VolumeError } from '../volumes/errors.ts';
import type { ApiConnection } from './api-connection.ts';
import { answered, refusal, saysThereIsNone } from './api-failure.ts';

/** Holds the id of the cluster that the records of a namespace belong to; immutable. */
const NAME = 'aoe-csi-cluster';
const CONFIG_MAPS = { kind: 'ConfigMap', plural: 'configmaps', singular: 'configmap', shortName: 'cm' };

/**
 * With another cluster id, all claims of ours on the storage network would look like strangers', and all names be free again.
 * @throws VolumeError `failed-precondition` when the namespace is another cluster's, `unavailable` when it has no id yet and we may not write it
 */
export async function requireCluster(connection: ApiConnection, namespace: string, clusterId: string): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
  const reading = { what: `read the cluster's id in configmap ${NAME}`, resource: CONFIG_MAPS, namespace };
  const answer = await answered(reading, false, async () => connection.request({ method: 'GET', path: `${path}/${NAME}` }));
  if (saysThereIsNone(answer, NAME)) {
    const writing = { ...reading, what: `write the cluster's id into configmap ${NAME}` };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data: { clusterId }, immutable: true };
    const made = await answered(writing, true, async () => connection.request({ method: 'POST', path, body }));
    if (made.status === 201) return;
    // Somebody was faster: what is there now?
    if (made.status === 409) return requireCluster(connection, namespace, clusterId);
    if (made.status !== 403) throw refusal(writing, made);
    throw new VolumeError(
      'unavailable',
      `cannot use namespace ${namespace} yet: there is no configmap ${NAME} with the cluster's id, which Helm makes: helm upgrade makes it again`,
    );
  }
  if (answer.status !== 200) throw refusal(reading, answer);
  const owner = (answer.body as { readonly data?: Readonly<Record<string, string>> }).data?.['clusterId'];
  if (owner === clusterId) return;
  throw new VolumeError(
    'failed-precondition',
    `cannot use namespace ${namespace} for cluster ${clusterId}: it is cluster ${owner ?? '(no id)'}'s, and a cluster's id never changes; ` +
      `give --cluster-id ${owner ?? ''}, or another namespace`,
  );
}
