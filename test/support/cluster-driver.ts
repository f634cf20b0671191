import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { SAN_INTERFACE } from './cluster-network.ts';
import { pathOf } from './repository.ts';

export const DRIVER_NAME = 'aoe.csi.dev';
export const DRIVER_NAMESPACE = 'aoe-csi';
export const CLASS = 'aoe';
const RUN_MS = 120_000;
/** Names the chart's defaults of the sidecars' images: the nodes have these. */
const RELEASE = 'aoe-csi';

/** What is installed in a cluster of tests: with devices by FUSE, which can't be handed over, and in a hurry. */
const VALUES = {
  clusterId: 'cluster-test',
  interfaces: [SAN_INTERFACE],
  logLevel: 'debug',
  image: { pullPolicy: 'Never' },
  initiator: { attach: 'fuse' },
  node: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } },
  capacity: { pollInterval: '5s' },
  storageClasses: [
    { name: CLASS, volumeBindingMode: 'Immediate' },
    { name: 'aoe-late', volumeBindingMode: 'WaitForFirstConsumer' },
    { name: 'aoe-nowhere', volumeBindingMode: 'Immediate', parameters: { interfaces: 'none*' } },
  ],
};

/** Installs the chart and waits until controllers and nodes are ready, and the kubelets know the driver. */
export async function installDriver(cluster: Cluster): Promise<void> {
  const values = join(cluster.folder, 'values.json');
  writeFileSync(values, JSON.stringify(VALUES));
  const place = [`--namespace=${DRIVER_NAMESPACE}`, '--create-namespace', `--values=${values}`];
  await cluster.helm('install', RELEASE, pathOf('deploy/helm'), ...place);
  await cluster.until('the driver to run', RUN_MS, async () => {
    const pods = await cluster.kubectl.list('pods', `--namespace=${DRIVER_NAMESPACE}`);
    return pods.length >= cluster.nodes.length + 1 && pods.every(isPodReady);
  });
  await cluster.until('the kubelets to know the driver', RUN_MS, async () => {
    const nodes = await cluster.kubectl.list('csinodes');
    return nodes.length === cluster.nodes.length && nodes.every((node) => JSON.stringify(node.spec).includes(DRIVER_NAME));
  });
}

function isPodReady({
  status,
}: {
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}
