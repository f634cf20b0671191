/** Everything that a volume needs, as processes of their own: a target, a storage network, initiator, node plugin and controller. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Laboratory } from './faults-laboratory.ts';
import { SAN } from './faults-laboratory.ts';
import { eventually, TestProcess } from './faults-process.ts';
import { withInitiators, type InitiatorProcess } from './initiator-process.ts';
import { MAIN } from './program.ts';
import { startTarget } from './target-process.ts';

const START_MS = 15_000;
const MTU = 9000;

export const CLUSTER_ID = 'sanity';

/** A disk of a target: sparse, so that its size costs nothing. */
export interface Disk {
  readonly address: string;
  readonly sizeBytes: number;
}

export interface CsiLaboratoryOptions {
  readonly disks: readonly Disk[];
  readonly volumesMax: number;
  /** Volumes become devices of the kernel's NBD driver, in a kernel guest; else of FUSE. */
  readonly inKernel?: boolean;
  /** Debian's target serves the disks. */
  readonly vblade?: boolean;
}

/** The processes, and where they are spoken to. */
export class CsiLaboratory {
  readonly lab: Laboratory;
  readonly initiator: InitiatorProcess;
  readonly storeFolder: string;
  readonly nodeSocket: string;
  readonly controllerSocket: string;
  readonly #volumesMax: number;
  readonly #processes: TestProcess[] = [];

  constructor(lab: Laboratory, initiator: InitiatorProcess, volumesMax: number) {
    this.lab = lab;
    this.initiator = initiator;
    this.#volumesMax = volumesMax;
    this.storeFolder = join(lab.folder, 'store');
    // A folder for each: sockets of CSI stand alone.
    this.nodeSocket = join(lab.folder, 'node', 'csi.sock');
    this.controllerSocket = join(lab.folder, 'controller', 'csi.sock');
  }

  /** Starts the node plugin; returns when it serves. */
  async startNode(environment: Readonly<Record<string, string>> = {}): Promise<TestProcess> {
    const words = ['--node-id', 'node-1', '--initiator', this.initiator.socketPath, '--volumes-max', String(this.#volumesMax)];
    const state = ['--state-directory', join(this.lab.folder, 'state'), '--segment', 'topology.aoe.csi.dev/segment=san-a'];
    return this.#start('node', this.nodeSocket, [...words, ...state], environment, 'CSI for node');
  }

  /** Starts a controller; returns when it serves. */
  async startController(environment: Readonly<Record<string, string>> = {}): Promise<TestProcess> {
    return this.#start('controller', this.controllerSocket, [], environment, 'the controller runs');
  }

  async #start(
    verb: string,
    socket: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>>,
    started: string,
  ): Promise<TestProcess> {
    const common = ['--endpoint', `unix://${socket}`, '--store', this.storeFolder, '--cluster-id', CLUSTER_ID];
    const given = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const commandLine = ['env', ...given, process.execPath, MAIN, verb, ...common, ...words];
    const daemon = new TestProcess(verb, commandLine, this.lab.folder);
    this.#processes.push(daemon);
    await eventually(`the ${verb} to start`, START_MS, () => {
      if (!daemon.running) throw new Error(daemon.report);
      return daemon.errors.some((line) => line.includes(started));
    });
    return daemon;
  }

  /** What the daemons have said last, for a test that failed. */
  get report(): string {
    return this.#processes.map((each) => each.report).join('\n');
  }

  async end(): Promise<void> {
    for (const each of this.#processes.toReversed()) await each.end();
  }
}

/** Runs a test in a laboratory of its own, with initiator and target running; node plugin and controller are the test's to start. */
export async function withCsi(options: CsiLaboratoryOptions, run: (csi: CsiLaboratory) => Promise<void>): Promise<void> {
  const { disks, volumesMax, inKernel = false, vblade = false } = options;
  await withInitiators(async ({ lab, initiate }) => {
    lab.wire(MTU);
    await serve(lab, disks, vblade);
    const initiator = await initiate('--interfaces', SAN, '--attach', inKernel ? 'nbd' : 'fuse');
    const csi = new CsiLaboratory(lab, initiator, volumesMax);
    try {
      await run(csi);
    } finally {
      await csi.end();
    }
  }, inKernel);
}

async function serve(lab: Laboratory, disks: readonly Disk[], vblade: boolean): Promise<void> {
  mkdirSync(join(lab.folder, 'disks'));
  const exports = disks.map(({ address, sizeBytes }) => ({ address, file: lab.disk(`disks/${address}`, sizeBytes) }));
  if (!vblade) await startTarget(lab, ...exports.map(({ address, file }) => `${address}=${file}`));
  else for (const { address, file } of exports) await lab.vblade(address, file);
}
