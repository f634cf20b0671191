/** A node with all that is below it: targets, a storage network, the initiator and the node plugin as processes; real disks and mounts. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/embedded/directory-store.ts';
import { claimOf } from '../../src/volumes/claim.ts';
import { readParameters } from '../../src/volumes/parameters.ts';
import type { FormatRecord, TargetRecord, TaskRecord } from '../../src/volumes/records.ts';
import { change, type Store } from '../../src/volumes/store.ts';
import { takeInventory } from '../../src/volumes/take-inventory.ts';
import { formatVolumeId } from '../../src/volumes/volume-id.ts';
import { SAN, TARGET, type Laboratory, type SwitchPort } from './faults-laboratory.ts';
import { eventually, type TestProcess } from './faults-process.ts';
import { withInitiators, type InitiatorProcess } from './initiator-process.ts';
import { NodeProcess } from './node-process.ts';
import type { NetworkNamespace } from './system-namespace.ts';
import { startTarget } from './target-process.ts';

export const CLUSTER_ID = 'node-test';
const MTU = 9000;
const SEEN_MS = 15_000;
const TASK_MS = 30_000;
const INITIATOR_END_MS = 10_000;
const MIB = 2 ** 20;

/** How a test uses a volume. */
export type Use = 'ext4' | 'xfs' | 'btrfs' | 'block';

export interface VolumeOptions {
  /** As the orchestrator has it. */
  readonly name?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly format?: FormatRecord;
  readonly accessMode?: string;
  readonly readOnly?: boolean;
  readonly nodeId?: string;
}

export interface NodeLaboratoryOptions {
  /** Bytes of each disk, by address. */
  readonly disks: Readonly<Record<string, number>>;
  /** For `aoe-csi target`. */
  readonly targetWords?: readonly string[];
  /** Debian's target serves the disk, of which there is one. */
  readonly vblade?: boolean;
  /** Two machines on one storage network: `node-1` and `node-2`. */
  readonly machines?: 1 | 2;
  /** Volumes become devices of the kernel's NBD driver, in a kernel guest with one machine; else of FUSE. */
  readonly inKernel?: boolean;
  /** In place of one in a folder. */
  readonly store?: StorePlace;
}

/** A store that is there. */
export interface StorePlace {
  /** For `--store`. */
  readonly place: string;
  /** Of the node plugins. */
  readonly environment: Readonly<Record<string, string>>;
  /** As a controller, whose part the test plays. */
  readonly open: () => Promise<Store>;
}

/** What a test wants of a node plugin. */
export interface NodeStartOptions {
  readonly nodeId?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** More for its command line. */
  readonly words?: readonly string[];
  /** In place of the laboratory's. */
  readonly stateFolder?: string;
  /** Starts its command line. */
  readonly launcher?: readonly string[];
}

/** What only who made the laboratory can do. */
interface LaboratoryMeans {
  /** Starts the initiator of a machine. */
  readonly start: (machine: number) => InitiatorProcess;
  readonly plug: (name: string, host: NetworkNamespace) => SwitchPort;
}

export class NodeLaboratory {
  readonly lab: Laboratory;
  readonly initiators: InitiatorProcess[];
  readonly store: Store;
  readonly storeFolder: string;
  /** Of the first machine. */
  readonly stateFolder: string;
  readonly #options: NodeLaboratoryOptions;
  readonly #nodes: NodeProcess[] = [];
  readonly #means: LaboratoryMeans;
  #target: TestProcess | undefined;

  constructor(
    lab: Laboratory,
    initiators: readonly InitiatorProcess[],
    store: Store,
    options: NodeLaboratoryOptions,
    means: LaboratoryMeans,
  ) {
    this.lab = lab;
    this.#means = means;
    this.initiators = [...initiators];
    this.store = store;
    this.storeFolder = options.store?.place ?? join(lab.folder, 'store');
    this.stateFolder = join(lab.folder, 'state');
    this.#options = options;
  }

  /** Of the first machine. */
  get initiator(): InitiatorProcess {
    return this.initiators[0];
  }

  /** Gives the first of two machines one more interface on the storage network; its initiator does not use it yet. */
  plug(name: string): void {
    this.#means.plug(name, this.lab.initiator);
  }

  /** Serves the disk at one more MAC, by a process that knows nothing of the first; with two machines only. */
  async serveAlso(name: string): Promise<{ readonly process: TestProcess; readonly port: SwitchPort }> {
    const port = this.#means.plug(name, this.lab.target);
    const [address] = Object.keys(this.#options.disks);
    return { process: await this.lab.vblade(address, this.diskFile(address), { interface: name }), port };
  }

  /** Kills the initiator of the first machine and starts the next one; returns when that serves. */
  async restartInitiator(): Promise<void> {
    this.initiator.process.signal('SIGKILL');
    await eventually('the initiator to end', INITIATOR_END_MS, () => !this.initiator.process.running);
    this.initiators[0] = await this.#means.start(0).ready();
  }

  /** The file that is a disk. */
  diskFile(address: string): string {
    return join(this.lab.folder, 'disks', address);
  }

  /** A folder of the test's own, made; canonical. */
  folder(...names: string[]): string {
    const path = join(this.lab.folder, ...names);
    mkdirSync(path, { recursive: true });
    return realpathSync(path);
  }

  /** Starts what serves all disks, again with what it knew. */
  async startTarget(): Promise<TestProcess> {
    if (this.#options.vblade === true) {
      const [address] = Object.keys(this.#options.disks);
      this.#target = await this.lab.vblade(address, this.diskFile(address));
      return this.#target;
    }
    const exports = Object.keys(this.#options.disks).map((address) => `${address}=${this.diskFile(address)}`);
    this.#target = await startTarget(this.lab, ...(this.#options.targetWords ?? []), ...exports);
    return this.#target;
  }

  async stopTarget(): Promise<void> {
    await this.#target?.end('SIGKILL');
  }

  /** Starts a node plugin and waits until the inventory knows what it sees. */
  async startNode(options: NodeStartOptions = {}): Promise<NodeProcess> {
    const { nodeId = 'node-1', environment = {}, words = [], launcher = [] } = options;
    const index = nodeId === 'node-2' ? 1 : 0;
    const { stateFolder = index === 0 ? this.stateFolder : join(this.lab.folder, `state-${nodeId}`) } = options;
    const initiatorSocket = this.initiators[index].socketPath;
    const { storeFolder, lab } = this;
    const node = new NodeProcess(
      { folder: lab.folder, nodeId, initiatorSocket, storeFolder, stateFolder, clusterId: CLUSTER_ID, words, launcher },
      { ...this.#options.store?.environment, ...environment },
    );
    this.#nodes.push(node);
    await node.start();
    await this.inventory();
    return node;
  }

  /** What the controllers' housekeeping does. */
  async inventory(): Promise<void> {
    await eventually(`all targets to be known; ${this.report}`, SEEN_MS, async () => {
      const nodes = (await this.store.nodes.list()).map(({ value }) => value);
      await takeInventory(this.store.targets, CLUSTER_ID, nodes);
      const targets = await this.store.targets.list();
      return targets.length === Object.keys(this.#options.disks).length;
    });
  }

  async record(address: string): Promise<TargetRecord> {
    const found = await this.store.targets.get(address);
    if (found === undefined) throw new Error(`there is no record of ${address}`);
    return found.value;
  }

  async setRecord(address: string, decide: (record: TargetRecord) => TargetRecord): Promise<void> {
    await change(this.store.targets, address, decide);
  }

  /** Makes a volume on a target as a controller would, but for the placement: claimed by the node, published to it. */
  async volume(address: string, options: VolumeOptions = {}): Promise<string> {
    const { name: volumeName = `volume on ${address}` } = options;
    const claim = claimOf(CLUSTER_ID, volumeName);
    const { nodeId = 'node-1', readOnly = false, accessMode = 'SINGLE_NODE_WRITER' } = options;
    const { parameters } = readParameters('StorageClass', options.parameters ?? {});
    const format = options.format ?? { state: 'never', fsType: '', uuid: '' };
    await this.setRecord(address, (record) => ({
      ...record,
      state: 'Claimed',
      claim: {
        volumeName,
        claim,
        capacityBytes: 16 * MIB,
        parameters,
        mutableParameters: {},
        confirmed: false,
        format,
        epoch: 1,
        labels: {},
      },
      publications: [{ nodeId, readOnly, accessMode, epoch: 1 }],
    }));
    await this.task(address, 'claim', `claim:${claim}`);
    return formatVolumeId({ address, claim });
  }

  /** Publishes a volume to these nodes and to no other, as a controller would; each has the epoch of its place, counted from `epoch`. */
  async publish(address: string, epoch: number, accessMode: string, ...nodeIds: readonly string[]): Promise<void> {
    const publications = nodeIds.map((nodeId, index) => ({ nodeId, readOnly: false, accessMode, epoch: epoch + index }));
    await this.setRecord(address, (record) => ({ ...record, publications }));
  }

  /** Publishes a target as it is: a static volume. */
  async staticVolume(address: string, accessMode = 'SINGLE_NODE_WRITER'): Promise<string> {
    const publications = [{ nodeId: 'node-1', readOnly: false, accessMode, epoch: 1 }];
    await this.setRecord(address, (record) => ({ ...record, publications }));
    return address;
  }

  /** Hands a task out and waits for its end; answers the record. */
  async task(address: string, kind: TaskRecord['kind'], id: string, nodeId = 'node-1'): Promise<TargetRecord> {
    const task: TaskRecord = { kind, id, nodeId, state: 'waiting', message: '', doneBytes: 0, totalBytes: 0 };
    await this.setRecord(address, (record) => ({ ...record, task }));
    return this.settled(address);
  }

  async settled(address: string): Promise<TargetRecord> {
    return eventually(`a task on ${address} to end; ${this.report}`, TASK_MS, async () => {
      const record = await this.record(address);
      const isSettled = record.task === undefined || record.task.state === 'done' || record.task.state === 'failed';
      return isSettled ? record : undefined;
    });
  }

  /** Gives a volume back, and waits until it is wiped. */
  async release(address: string): Promise<TargetRecord> {
    const { claim } = await this.record(address);
    await this.setRecord(address, (record) => ({ ...record, state: 'Released', publications: [] }));
    return this.task(address, 'wipe', `wipe:${claim?.claim ?? ''}`);
  }

  get report(): string {
    return this.#nodes.map((node) => node.report).join('\n');
  }

  async end(): Promise<void> {
    for (const node of this.#nodes) await node.end();
    await this.store.close();
  }
}

/** Runs a test with targets and an initiator of its own; node plugins are the test's to start. All mounts and devices end with it. */
export async function withNode(options: NodeLaboratoryOptions, run: (given: NodeLaboratory) => Promise<void>): Promise<void> {
  await withInitiators(async ({ lab, launch }) => {
    const hosts = options.machines === 2 ? [lab.initiator, lab.host('second')] : [lab.initiator];
    if (hosts.length === 1) lab.wire(MTU);
    const ends = [{ host: lab.target, name: TARGET }, ...hosts.map((host) => ({ host, name: SAN }))];
    const network = hosts.length === 1 ? undefined : lab.switch(MTU, ...ends);
    mkdirSync(join(lab.folder, 'disks'));
    for (const [address, sizeBytes] of Object.entries(options.disks)) lab.disk(`disks/${address}`, sizeBytes);
    const words = ['--interfaces', SAN, '--attach', options.inKernel === true ? 'nbd' : 'fuse'];
    const start = (index: number): InitiatorProcess => launch(`i${index}`, words, [], hosts[index]);
    const initiators = hosts.map((_, index) => start(index));
    for (const initiator of initiators) await initiator.ready();
    const store = await (options.store?.open() ?? DirectoryStore.open(join(lab.folder, 'store')));
    let ports = ends.length;
    const plug = (name: string, host: NetworkNamespace): SwitchPort => {
      if (network === undefined) throw new Error('one machine has a wire to its target, and no switch');
      return lab.plug(network, ++ports, MTU, { host, name });
    };
    const given = new NodeLaboratory(lab, initiators, store, options, { start, plug });
    try {
      await given.startTarget();
      await run(given);
    } finally {
      await given.end();
    }
  }, options.inKernel);
}

/** Runs a program that has to end well; what it printed. */
export function must(program: string, ...words: readonly string[]): string {
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
