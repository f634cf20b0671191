/** The programs of a Kubernetes cluster: built from their Go modules when first wanted, kept in the user's cache. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtGoProgram, installedGoProgram } from './csi-go.ts';
import { pathOf } from './repository.ts';

/** Folders with the go.mod files that say which versions. */
const MODULES = pathOf('test/cluster');
const HELM = 'helm.sh/helm/v4/cmd/helm@v4.3.1';
const RESIZER = 'github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer@v2.3.0';

/** Building the first of them from nothing takes five minutes on two cores that have nothing else to do, all of them a quarter of an hour. */
export const PROGRAMS_BUILD_MS = 3_600_000;

const KUBERNETES_PROGRAMS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubectl'] as const;
export type KubernetesProgram = (typeof KUBERNETES_PROGRAMS)[number];

/** A program of Kubernetes itself. @param name a `tool` of the go.mod */
export function kubernetesProgram(name: KubernetesProgram): string {
  const folder = join(MODULES, 'kubernetes');
  const version = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(readFileSync(join(folder, 'go.mod'), 'utf8'));
  if (version === null) throw new Error(`${folder}/go.mod requires no k8s.io/kubernetes`);
  const [, full, major, minor] = version;
  const variables = { gitVersion: full, gitMajor: major, gitMinor: minor };
  return builtGoProgram(name, folder, {
    package: `k8s.io/kubernetes/cmd/${name}`,
    // Clients see v0.0.0-master otherwise.
    linkerFlags: Object.entries(variables).map(([variable, value]) => `-X k8s.io/component-base/version.${variable}=${value}`),
  });
}

/**
 * Builds what a cluster is made of, before anything of it is started: nothing that runs is looked after while the Go compiler works for
 * minutes.
 */
export function provideClusterPrograms(): void {
  for (const name of KUBERNETES_PROGRAMS) kubernetesProgram(name);
  helm();
}

export type Sidecar = 'csi-provisioner' | 'csi-attacher' | 'csi-resizer';

/** What stands between Kubernetes and a CSI controller. */
export function sidecarProgram(name: Sidecar): string {
  if (name === 'csi-resizer') return installedGoProgram(RESIZER);
  const folder = join(MODULES, name);
  const tool = /^tool (\S+)$/m.exec(readFileSync(join(folder, 'go.mod'), 'utf8'))?.[1];
  if (tool === undefined) throw new Error(`${folder}/go.mod names no tool`);
  return builtGoProgram(name, folder, { package: tool });
}

export function helm(): string {
  return installedGoProgram(HELM);
}
