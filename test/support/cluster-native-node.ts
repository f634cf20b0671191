import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NodeCgroup } from './cluster-cgroup.ts';
import { cniConfiguration, containerdConfiguration, CONTAINERD_SOCKET, importing } from './cluster-containerd.ts';
import type { ControlPlane } from './cluster-control-plane.ts';
import { kubeletConfiguration } from './cluster-kubelet.ts';
import { inNetwork, nodeAddress } from './cluster-network.ts';
import type { ClusterNode, NodeKind, NodeOptions } from './cluster-node.ts';
import { kubernetesProgram } from './cluster-programs.ts';
import { CLUSTER } from './cluster-requirements.ts';
import { eventually, TestProcess } from './faults-process.ts';
import type { NetworkNamespace } from './system-namespace.ts';

const START_MS = 20_000;
const OUTPUT_MAX = 16 * 1024 * 1024;

/**
 * The node's first process: makes the machine that it sees a node's, says so, and collects dead processes. Folders that a node
 * keeps things in are its own; the rest is the machine's. What a kubelet sets of a whole kernel it finds set already, in files of the
 * node: the machine's stay as they are.
 */
const INIT = `
set -e
mount --make-rshared /
mount -t proc proc /proc
hostname "$NODE"
mkdir -p "$FOLDER/sysctl"
for each in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \\
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  setting="\${each%=*}"
  file="$FOLDER/sysctl/$(basename "$setting")"
  echo "\${each#*=}" >"$file"
  mount --bind "$file" "/proc/sys/$setting"
done
mkdir -p /dev/etherd
mount -t tmpfs -o mode=755 node-dev /dev/etherd
mount -t tmpfs -o mode=755 node-run /run
mkdir -p /run/netns /run/lock
for each in lib log; do
  mkdir -p "$FOLDER/$each"
  mount --bind "$FOLDER/$each" "/var/$each"
done
mkdir -p /var/lib/kubelet
echo up
while :; do sleep 3600 & wait $! || true; done
`;

/**
 * A node of namespaces: its own for processes, mounts and the network, and in them containerd and kubelet. Its first process dies
 * with the test's, and all others of the node with that one.
 */
export class NativeNode implements ClusterNode {
  readonly name: string;
  readonly logs: string;
  readonly podLogs: string;
  readonly #folder: string;
  readonly #number: number;
  readonly network: NetworkNamespace;
  readonly #cgroup: NodeCgroup;
  #init: TestProcess | undefined;
  #containerd: TestProcess | undefined;
  #kubelet: TestProcess | undefined;

  constructor({ number, folder, network }: NodeOptions) {
    this.#number = number;
    this.name = `node-${number}`;
    this.#folder = folder;
    this.logs = join(folder, 'log');
    this.podLogs = join(this.logs, 'pods');
    this.network = network.join(number);
    this.#cgroup = new NodeCgroup(this.network.name);
  }

  async boot(images: readonly string[]): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    this.#cgroup.make();
    const machine = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--uts', '--ipc'];
    const environment = ['env', `NODE=${this.name}`, `FOLDER=${this.#folder}`];
    const words = [...this.#cgroup.launcher(), ...inNetwork(this.network), ...machine, ...environment, 'bash', '-c', INIT];
    const init = new TestProcess(this.name, words, this.#folder);
    this.#init = init;
    await eventually(`${this.name} to be up`, START_MS, () => {
      if (!init.running) throw new Error(init.report);
      return init.lines.includes('up');
    });
    await this.#startContainerd();
    for (const image of images) await this.run(...importing(image));
  }

  async #startContainerd(): Promise<void> {
    const configuration = this.#write(
      'containerd.toml',
      containerdConfiguration({ networkFolder: this.#folder, mayProtect: false }),
    );
    this.#write('cni.conflist', cniConfiguration(this.#number));
    this.#containerd = this.#daemon('containerd', ['containerd', '--config', configuration]);
    const socket = join('/proc', String(this.#initPid), 'root', CONTAINERD_SOCKET);
    await eventually('containerd to start', START_MS, () => {
      this.#requireRunning(this.#containerd);
      return existsSync(socket);
    });
  }

  startKubelet(plane: ControlPlane): Promise<void> {
    const address = nodeAddress(this.#number);
    const identity = plane.certificates.node(this.name, address);
    const configuration = kubeletConfiguration({
      certificate: identity.certificate,
      key: identity.key,
      authority: plane.certificates.authority.certificate,
      cgroup: `/${this.#cgroup.name}`,
    });
    this.#kubelet = this.#daemon('kubelet', [
      kubernetesProgram('kubelet'),
      `--config=${this.#write('kubelet.yaml', JSON.stringify(configuration))}`,
      `--kubeconfig=${plane.kubeConfig(this.name, { identity })}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${address}`,
    ]);
    return Promise.resolve();
  }

  async run(...words: readonly string[]): Promise<string> {
    const [program, ...rest] = [...this.#inside, ...words];
    return (await promisify(execFile)(program, rest, { maxBuffer: OUTPUT_MAX })).stdout;
  }

  freeze(): void {
    this.#cgroup.freeze();
  }

  thaw(): void {
    this.#cgroup.thaw();
  }

  async end(): Promise<void> {
    // What is frozen does not end.
    this.thaw();
    await this.#init?.end('SIGKILL');
    for (const each of [this.#containerd, this.#kubelet]) await each?.end('SIGKILL');
    await this.#cgroup.remove();
  }

  /** Of the node's first process, as the machine counts. */
  get #initPid(): number {
    // unshare forks it, and stays.
    const parent = this.#init?.child.pid ?? 0;
    return Number(execFileSync('cat', [`/proc/${parent}/task/${parent}/children`], { encoding: 'utf8' }).trim());
  }

  get #inside(): string[] {
    return ['nsenter', `--target=${this.#initPid}`, '--net', '--mount', '--pid', '--uts', '--ipc'];
  }

  #daemon(name: string, words: readonly string[]): TestProcess {
    const log = join(this.logs, `${name}.log`);
    const logged = ['sh', '-c', 'log=$1; shift; exec "$@" >> "$log" 2>&1', 'sh', log];
    const started = [...this.#cgroup.launcher(), ...this.#inside, ...logged, ...words];
    return new TestProcess(`${name} of ${this.name} (${log})`, started, this.#folder);
  }

  requireRunning(): void {
    for (const each of [this.#containerd, this.#kubelet]) this.#requireRunning(each);
  }

  #requireRunning(process: TestProcess | undefined): void {
    if (process?.running !== true) throw new Error(process?.report ?? 'it was not started');
  }

  #write(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }
}

/** Nodes that start in a second and share the machine's kernel, which has no nbd. */
export const NATIVE: NodeKind<NativeNode> = {
  make: (options) => new NativeNode(options),
  requirements: CLUSTER,
  slowness: 1,
};
