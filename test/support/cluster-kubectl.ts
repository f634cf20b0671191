import { spawn } from 'node:child_process';
import { kubernetesProgram } from './cluster-programs.ts';

/** What tests look at in objects of all kinds. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly capacity?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** An administrator's commands to a cluster, from a host that reaches it. */
export class Kubectl {
  readonly #launcher: readonly string[];
  readonly #kubeConfig: string;

  constructor(launcher: readonly string[], kubeConfig: string) {
    this.#launcher = launcher;
    this.#kubeConfig = kubeConfig;
  }

  /** Runs `kubectl` and returns what it prints. @throws Error with its words */
  async run(...words: readonly string[]): Promise<string> {
    return this.#run(words);
  }

  async get(...words: readonly string[]): Promise<KubernetesObject> {
    return JSON.parse(await this.run('get', ...words, '--output=json')) as KubernetesObject;
  }

  async list(...words: readonly string[]): Promise<readonly KubernetesObject[]> {
    const { items } = await this.get(...words);
    return items as readonly KubernetesObject[];
  }

  /** Makes objects, or changes them. */
  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.#run(['apply', '--filename=-'], JSON.stringify(list));
  }

  /** Deletes, and waits until it is gone. */
  async delete(...words: readonly string[]): Promise<void> {
    await this.run('delete', ...words, '--ignore-not-found', '--timeout=180s');
  }

  async #run(words: readonly string[], input = ''): Promise<string> {
    const [file, ...rest] = [...this.#launcher, kubernetesProgram('kubectl'), `--kubeconfig=${this.#kubeConfig}`, ...words];
    return outputOf(file, rest, input);
  }
}

async function outputOf(file: string, words: readonly string[], input: string): Promise<string> {
  const child = spawn(file, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  if (code !== 0)
    throw new Error(`${words.slice(1).join(' ')}: ended with ${String(code)}: ${errors.trim()}\n${output.slice(-2000)}`);
  return output;
}
