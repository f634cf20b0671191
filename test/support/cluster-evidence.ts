import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';

const KINDS =
  'pods,persistentvolumeclaims,persistentvolumes,volumeattachments,storageclasses,csinodes,csidrivers,csistoragecapacities,nodes,daemonsets,deployments,leases';

/** Copies logs of all parts of a cluster, and its objects, into a folder. What can't be had is left out. */
export async function copyLogs(cluster: Cluster, folder: string): Promise<void> {
  for (const { name, logs } of cluster.machines) {
    if (existsSync(logs)) cpSync(logs, join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  const logs = join(cluster.folder, 'logs');
  if (existsSync(logs)) cpSync(logs, join(folder, 'control-plane'), { recursive: true });
  mkdirSync(join(folder, 'objects'), { recursive: true });
  await note('events.txt', 'get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp');
  await note('objects.yaml', 'get', KINDS, '--all-namespaces', '--output=yaml');
  await note('driver.yaml', 'get', 'aoetargets,aoenodes', '--all-namespaces', '--output=yaml');
  await note('overview.txt', 'get', KINDS, '--all-namespaces', '--output=wide');

  async function note(name: string, ...words: string[]): Promise<void> {
    let text = '';
    try {
      text = await cluster.kubectl.run(...words);
    } catch (error) {
      text = String(error);
    }
    writeFileSync(join(folder, 'objects', name), text);
  }
}
