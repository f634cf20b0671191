import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { kernelCache } from '../kernel/host/cache.ts';
import { provideInitramfs } from '../kernel/host/initramfs.ts';
import { provideKernel, SERIES, type Kernel } from '../kernel/host/kernels.ts';
import { Machine } from '../kernel/host/machine.ts';
import { cniConfiguration, containerdConfiguration, CONTAINERD_SOCKET } from './cluster-containerd.ts';
import type { ControlPlane } from './cluster-control-plane.ts';
import { GuestCommands, quoted } from './cluster-guest-commands.ts';
import { makeGuestDisk, makeLayer } from './cluster-guest-disk.ts';
import { kubeletConfiguration } from './cluster-kubelet.ts';
import { inNetwork, LAN, nodeAddress, PLANE_ADDRESS, SAN, SAN_MTU, tapOf } from './cluster-network.ts';
import { NATIVE } from './cluster-native-node.ts';
import type { ClusterNode, NodeKind, NodeOptions } from './cluster-node.ts';
import { kubernetesProgram } from './cluster-programs.ts';
import { GUEST_CLUSTER } from './cluster-requirements.ts';
import { eventually } from './faults-process.ts';
import type { NetworkNamespace } from './system-namespace.ts';

const MEMORY_MIB = 3072;
const SECOND_STAGE = 'test/cluster/guest-node.sh';
/** As init.sh of the guests has it: the folder that both sides see. */
const EXCHANGE = '/run/aoe-csi-guest';
const UP_MS = 60_000;
const CONTAINERD_MS = 60_000;
const CONSOLE_LINES = 40;

/** How long things take in software emulation. */
const SLOWNESS = 4;

/** A disk that the guests of one cluster have in common. */
type Disk = (folder: string, images: readonly string[]) => Promise<string>;

/**
 * A node on Debian's kernel, in a virtual machine: it has nbd, control groups of version 2, all capabilities. All that it keeps is on
 * a disk of its own, but for its logs.
 */
export class GuestNode implements ClusterNode {
  readonly name: string;
  /** What both sides see. */
  readonly logs: string;
  readonly podLogs: string;
  readonly place: NetworkNamespace;
  readonly #number: number;
  readonly #folder: string;
  readonly #kernel: Kernel;
  readonly #disk: Disk;
  readonly #commands: GuestCommands;
  #machine: Machine | undefined;
  #plane: ControlPlane | undefined;

  constructor({ number, folder, network }: NodeOptions, kernel: Kernel, disk: Disk) {
    this.#number = number;
    this.name = `node-${number}`;
    this.#folder = folder;
    this.logs = join(folder, 'exchange');
    this.podLogs = join(this.logs, 'log/pods');
    this.place = network.joinMachine(number);
    this.#commands = new GuestCommands(this.logs);
    this.#kernel = kernel;
    this.#disk = disk;
  }

  async boot(images: readonly string[]): Promise<void> {
    await makeLayer(await this.#disk(dirname(this.#folder), images), this.#layer);
    await this.#powerOn();
  }

  async startKubelet(plane: ControlPlane): Promise<void> {
    this.#plane = plane;
    const address = nodeAddress(this.#number);
    const identity = plane.certificates.node(this.name, address);
    const configuration = kubeletConfiguration({
      certificate: this.#copied(identity.certificate),
      key: this.#copied(identity.key),
      authority: this.#copied(plane.certificates.authority.certificate),
      cgroup: '/',
    });
    await this.#daemon('kubelet', [
      kubernetesProgram('kubelet'),
      `--config=${this.#written('kubelet.yaml', JSON.stringify(configuration))}`,
      `--kubeconfig=${this.#copied(plane.kubeConfig(this.name, { identity }))}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${address}`,
    ]);
  }

  async run(...words: readonly string[]): Promise<string> {
    return this.#commands.run(quoted(words));
  }

  freeze(): void {
    this.#machine?.freeze();
  }

  thaw(): void {
    this.#machine?.thaw();
  }

  requireRunning(): void {
    if (this.#machine?.running !== true)
      throw new Error(`${this.name} is not running; the end of its console:\n${this.#console}`);
    for (const each of ['containerd', 'kubelet']) {
      if (existsSync(this.#ended(each))) throw new Error(`${each} of ${this.name} has ended: ${this.logs}/log/${each}.log`);
    }
  }

  /** What its disk has not been given yet is lost. */
  async cutPower(): Promise<void> {
    await this.#machine?.kill();
  }

  /** As a machine that starts again by itself. */
  async startAgain(): Promise<void> {
    await this.#powerOn();
    if (this.#plane !== undefined) await this.startKubelet(this.#plane);
  }

  async end(): Promise<void> {
    await this.cutPower();
  }

  async #powerOn(): Promise<void> {
    for (const each of [join(this.logs, 'up'), this.#ended('containerd'), this.#ended('kubelet')]) rmSync(each, { force: true });
    const machine = new Machine({
      kernel: this.#kernel,
      initramfs: provideInitramfs(this.#kernel),
      folder: this.logs,
      memoryMib: MEMORY_MIB,
      secondStage: SECOND_STAGE,
      variables: { name: this.name, address: nodeAddress(this.#number), gateway: PLANE_ADDRESS },
      devices: [
        ...['-drive', `file=${this.#layer},format=qcow2,if=virtio,cache=unsafe`],
        ...networkCard(LAN, this.#number),
        ...networkCard(SAN, this.#number, `,host_mtu=${SAN_MTU}`),
      ],
      launcher: inNetwork(this.place),
    });
    this.#machine = machine;
    this.#commands.connect(machine);
    await eventually(`${this.name} to be up`, UP_MS, () => {
      this.requireRunning();
      return existsSync(join(this.logs, 'up'));
    });
    await this.#startContainerd();
  }

  async #startContainerd(): Promise<void> {
    const configuration = containerdConfiguration({ networkFolder: EXCHANGE, mayProtect: true });
    this.#written('cni.conflist', cniConfiguration(this.#number));
    await this.#daemon('containerd', ['containerd', '--config', this.#written('containerd.toml', configuration)]);
    await eventually('containerd to start', CONTAINERD_MS, async () => {
      this.requireRunning();
      return (await this.#commands.run(`test -S ${CONTAINERD_SOCKET} && echo there || true`)) !== '';
    });
  }

  /** Returns at once; how it ends is told by a file. */
  async #daemon(name: string, words: readonly string[]): Promise<void> {
    const log = `/var/log/${name}.log`;
    await this.#commands.run(`(${quoted(words)} >>${log} 2>&1; echo "$?" >${EXCHANGE}/${name}.ended) &`);
  }

  #ended(name: string): string {
    return join(this.logs, `${name}.ended`);
  }

  get #console(): string {
    return this.#machine?.console.trimEnd().split('\n').slice(-CONSOLE_LINES).join('\n') ?? '';
  }

  get #layer(): string {
    return join(this.#folder, 'disk.qcow2');
  }

  /** A file that both sides see. @returns its path in the guest */
  #written(name: string, text: string): string {
    writeFileSync(join(this.logs, name), text);
    return join(EXCHANGE, name);
  }

  #copied(path: string): string {
    return this.#written(path.slice(path.lastIndexOf('/') + 1), readFileSync(path, 'utf8'));
  }
}

function networkCard(name: string, number: number, more = ''): string[] {
  const mac = `52:54:00:00:0${name === SAN ? 1 : 0}:0${number}`;
  return [
    ...['-netdev', `tap,id=${name},ifname=${tapOf(name)},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=${name},mac=${mac}${more}`],
  ];
}

/** Nodes on the kernel that AOE_CSI_KERNEL names, or on Debian's newest; for one cluster. */
export function guestNodes(): NodeKind<GuestNode> {
  const series = SERIES.find((each) => each === (process.env['AOE_CSI_KERNEL'] || '6.12'));
  if (series === undefined) throw new Error(`AOE_CSI_KERNEL: there are ${SERIES.join(', ')}`);
  let made: Promise<string> | undefined;
  const disk: Disk = async (folder, images) => (made ??= makeGuestDisk(folder, images));
  const make = (options: NodeOptions): GuestNode => {
    const kernel = provideKernel(series, kernelCache(), (text) => process.stderr.write(`${text}\n`));
    return new GuestNode(options, kernel, disk);
  };
  return { make, requirements: GUEST_CLUSTER, slowness: SLOWNESS, controllers: NATIVE };
}
