import { DRIVER_NAMESPACE } from '../../support/cluster-driver.ts';
import type { AuditEntry } from '../../support/cluster-control-plane.ts';
import { imagesCommand } from '../../support/cluster-containerd.ts';
import type { KubernetesObject } from '../../support/cluster-kubectl.ts';
import type { ClusterNode } from '../../support/cluster-node.ts';
import { clusterCase, figure, type Given } from './given.ts';
import { startWriter } from './writer.ts';

/** Longer than anything is left to be looked at again: nodes ask targets whose they are once a minute. */
const QUIET_MS = 61_000;
const SETTLE_MS = 240_000;
const WRITING = ['create', 'update', 'patch', 'delete'];
/** Process, its control group and its memory in KiB, one in a line: those of containers have the container's id in the group. */
const PROCESSES = `for each in /proc/[0-9]*; do
  echo $(cat $each/cgroup 2>/dev/null | tr '\\n' ' ') rss $(grep VmRSS $each/status 2>/dev/null | tr -dc 0-9)
done`;

/** What the driver costs, while one pod writes and nothing else happens: printed, for docs/testing-cluster.md. */
export function figures(given: Given): void {
  clusterCase(given, 'the driver writes nothing into the API but leases while a pod writes to its volume', async () => {
    const { work, cluster, driver } = given;
    await startWriter(work);
    const writes = (): readonly AuditEntry['objectRef'][] =>
      cluster.plane
        .audited()
        .filter(({ verb, objectRef }) => WRITING.includes(verb) && objectRef.namespace === DRIVER_NAMESPACE)
        .map(({ objectRef }) => objectRef);
    let [before, sinceMs] = [writes().length, Date.now()];
    const written = await cluster.until('a minute without a write of a record', SETTLE_MS, () => {
      const since = writes().slice(before);
      if (since.some(isRecord)) [before, sinceMs] = [before + since.length, Date.now()];
      return Promise.resolve(Date.now() - sinceMs >= QUIET_MS && since);
    });
    const ofNodes = written.filter(({ name }) => name?.startsWith('aoe-csi-node.') === true);
    const [seconds, ofElections] = [QUIET_MS / 1000, written.length - ofNodes.length].map(String);
    figure(
      `API writes in ${seconds} s: none of records, ${String(ofNodes.length)} of nodes' leases, ${ofElections} of elections'`,
    );
    figure(`image, not compressed: ${await imageSize(cluster.nodes[0])}`);
    for (const [name, mib] of await memoryOf(await driver.list('pods'), cluster.nodes)) figure(`memory: ${mib} MiB: ${name}`);
  });
}

function isRecord({ resource }: AuditEntry['objectRef']): boolean {
  return resource !== 'leases';
}

async function imageSize(node: ClusterNode): Promise<string> {
  const images = await node.run(...imagesCommand(), 'list', 'name~=aoe-csi');
  return /\d[\d.]* [KMG]iB/.exec(images)?.[0] ?? images;
}

/** Of each container of these pods: what its processes have in memory, the smallest and the largest where there are several. */
async function memoryOf(
  pods: readonly KubernetesObject[],
  nodes: readonly ClusterNode[],
): Promise<readonly (readonly [string, string])[]> {
  const lines = (await Promise.all(nodes.map(async (node) => node.run('sh', '-c', PROCESSES)))).join('\n').split('\n');
  const found = new Map<string, number[]>();
  for (const { metadata, status } of pods) {
    const containers = [status?.['initContainerStatuses'], status?.['containerStatuses']].flatMap(
      (each) => (each ?? []) as readonly { readonly name: string; readonly containerID: string }[],
    );
    for (const { name, containerID } of containers) {
      const id = containerID.replace(/^.*\//, '');
      const kib = lines.filter((line) => line.includes(id)).map((line) => Number(line.split(' rss ')[1] ?? 0));
      const key = `${metadata.name.includes('controller') ? 'controller' : 'node'} pod, ${name}`;
      found.set(key, [...(found.get(key) ?? []), kib.reduce((sum, each) => sum + each, 0) / 1024]);
    }
  }
  return [...found].map(([name, sizes]) => [
    name,
    [...new Set([Math.min(...sizes), Math.max(...sizes)].map((mib) => mib.toFixed(0)))].join(' to '),
  ]);
}
