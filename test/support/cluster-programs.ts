/** The programs of a Kubernetes control plane: built from their Go module when first wanted, kept in the user's cache. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtGoProgram, go } from './csi-go.ts';
import { pathOf } from './repository.ts';
import { command, root, type Requirement } from './requires.ts';

/** Holds the go.mod that says which version. */
const FOLDER = pathOf('test/cluster/kubernetes');

/** What a control plane needs of the machine. */
export const CONTROL_PLANE: readonly Requirement[] = [root(), go(), command('etcd', 'etcd-server'), command('openssl')];

/** Building the first of them from nothing takes five minutes on two cores that have nothing else to do. */
export const PROGRAMS_BUILD_MS = 3_600_000;

/** @param name `kube-apiserver`: a `tool` of the go.mod */
export function kubernetesProgram(name: string): string {
  const version = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(readFileSync(join(FOLDER, 'go.mod'), 'utf8'));
  if (version === null) throw new Error(`${FOLDER}/go.mod requires no k8s.io/kubernetes`);
  const [, full, major, minor] = version;
  const variables = { gitVersion: full, gitMajor: major, gitMinor: minor };
  return builtGoProgram(name, FOLDER, {
    package: `k8s.io/kubernetes/cmd/${name}`,
    // Clients see v0.0.0-master otherwise.
    linkerFlags: Object.entries(variables).map(([variable, value]) => `-X k8s.io/component-base/version.${variable}=${value}`),
  });
}
