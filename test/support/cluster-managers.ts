import { join } from 'node:path';
import type { ControlPlane } from './cluster-control-plane.ts';
import { kubernetesProgram, type KubernetesProgram } from './cluster-programs.ts';
import { TestProcess } from './faults-process.ts';

/** How long a node may be silent before its pods are evicted: less than in the field, as tests wait for it. */
const NODE_GRACE = '20s';

/** What works on a cluster's objects: controller manager and scheduler. */
export class ClusterManagers {
  readonly #processes: readonly TestProcess[];

  /** @param launcher starts a command line where the API server is reached */
  constructor(plane: ControlPlane, launcher: readonly string[], logFolder: string) {
    const start = (name: KubernetesProgram, ...words: readonly string[]): TestProcess => {
      const identity = plane.certificates.client(`system:${name}`, name);
      const kubeConfig = plane.kubeConfig(name, { identity });
      const logged = ['sh', '-c', 'log=$1; shift; exec "$@" >> "$log" 2>&1', 'sh', join(logFolder, `${name}.log`)];
      const common = [`--kubeconfig=${kubeConfig}`, '--leader-elect=false', '--secure-port=0'];
      return new TestProcess(name, [...launcher, ...logged, kubernetesProgram(name), ...common, ...words], logFolder);
    };
    const { authority } = plane.certificates;
    this.#processes = [
      start(
        'kube-controller-manager',
        `--service-account-private-key-file=${plane.tokenKey}`,
        `--root-ca-file=${authority.certificate}`,
        '--use-service-account-credentials=true',
        `--node-monitor-grace-period=${NODE_GRACE}`,
        '--attach-detach-reconcile-sync-period=10s',
        '--pvclaimbinder-sync-period=5s',
      ),
      start('kube-scheduler'),
    ];
  }

  requireRunning(): void {
    const dead = this.#processes.find(({ running }) => !running);
    if (dead !== undefined) throw new Error(dead.report);
  }

  async end(): Promise<void> {
    for (const each of this.#processes) await each.end('SIGKILL');
  }
}
