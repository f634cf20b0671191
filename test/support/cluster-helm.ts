/** The chart, with the real helm. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { helm } from './cluster-programs.ts';
import { patiently } from './patience.ts';
import { pathOf } from './repository.ts';

export const CHART = pathOf('deploy/helm');
/** What must be given. */
export const REQUIRED = { clusterId: 'c', interfaces: ['eth1'] } as const;

export type Values = Readonly<Record<string, unknown>>;

const HELM_MS = 60_000;
const OUTPUT_MAX = 1 << 24;

/** Where a release is installed. */
export interface Release {
  readonly name: string;
  readonly namespace: string;
}

/** Runs helm in a folder of its own: it knows no cluster but the one that is given, and keeps nothing. */
export class Helm {
  readonly #folder = mkdtempSync(join(tmpdir(), 'aoe-csi-helm-'));
  readonly #kubeConfig: string;
  readonly #launcher: readonly string[];

  /**
   * @param kubeConfig of an administrator; without one there is no cluster
   * @param launcher starts a command line where the cluster is reached
   */
  constructor(kubeConfig = '/nonexistent', launcher: readonly string[] = []) {
    this.#kubeConfig = kubeConfig;
    this.#launcher = launcher;
  }

  /** Makes the namespace where it is missing. Does not wait for pods. @throws Error with what helm said */
  async install(release: Release, values: Values, ...words: string[]): Promise<string> {
    return this.#run('install', release, values, '--create-namespace', ...words);
  }

  async upgrade(release: Release, values: Values, ...words: string[]): Promise<string> {
    return this.#run('upgrade', release, values, ...words);
  }

  /** What would be installed. */
  async template(release: Release, values: Values, ...words: string[]): Promise<string> {
    return this.#run('template', release, values, ...words);
  }

  /** At once: without asking whether volumes are in use. */
  async uninstall({ name, namespace }: Release): Promise<string> {
    return this.run('uninstall', name, '--namespace', namespace, '--no-hooks');
  }

  async run(...words: readonly string[]): Promise<string> {
    const folders = Object.fromEntries(['CACHE', 'CONFIG', 'DATA'].map((kind) => [`HELM_${kind}_HOME`, this.#folder]));
    const env = { ...process.env, ...folders, KUBECONFIG: this.#kubeConfig };
    const options = { env, timeout: patiently(HELM_MS), maxBuffer: OUTPUT_MAX };
    try {
      const [program, ...rest] = [...this.#launcher, helm(), ...words];
      return (await promisify(execFile)(program, rest, options)).stdout;
    } catch (error) {
      throw new Error(`helm ${words.join(' ')} failed: ${(error as { stderr?: string }).stderr ?? String(error)}`, {
        cause: error,
      });
    }
  }

  end(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(verb: string, { name, namespace }: Release, values: Values, ...words: string[]): Promise<string> {
    const file = join(this.#folder, 'values.json');
    writeFileSync(file, JSON.stringify(values));
    return this.run(verb, name, CHART, '--namespace', namespace, '--values', file, ...words);
  }
}
