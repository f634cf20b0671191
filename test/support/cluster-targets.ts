import { truncateSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inNetwork, type ClusterNetwork } from './cluster-network.ts';
import { eventually, TestProcess } from './faults-process.ts';

const START_MS = 5_000;

export interface TargetOptions {
  /** Whom it answers; everybody where this is left out. */
  readonly macs?: readonly string[];
}

/** Debian's vblade on the storage network of a cluster, one for each disk. */
export class ClusterTargets {
  readonly #network: ClusterNetwork;
  readonly #folder: string;
  readonly #processes = new Map<string, TestProcess>();

  constructor(network: ClusterNetwork, folder: string) {
    this.#network = network;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** The file behind a target. @param name `e10.1` */
  disk(name: string): string {
    return join(this.#folder, name);
  }

  /** A disk of this size, served from now on. */
  async add(name: string, sizeBytes: number, options: TargetOptions = {}): Promise<void> {
    writeFileSync(this.disk(name), '', { flag: 'a' });
    truncateSync(this.disk(name), sizeBytes);
    await this.serve(name, options);
  }

  /** Ends the target; its disk stays. */
  async stop(name: string): Promise<void> {
    await this.#processes.get(name)?.end();
    this.#processes.delete(name);
  }

  /** Serves a disk that is there. */
  async serve(name: string, { macs = [] }: TargetOptions = {}): Promise<void> {
    const [shelf, slot] = name.slice(1).split('.');
    const mask = macs.length === 0 ? [] : ['-m', macs.join(',')];
    const words = ['vblade', '-b', '128', ...mask, shelf, slot, this.#network.targetInterface, this.disk(name)];
    const process = new TestProcess(`vblade ${name}`, [...inNetwork(this.#network.san), ...words], this.#folder);
    this.#processes.set(name, process);
    // Its first line comes after the interface is open.
    await eventually('vblade to start', START_MS, () => {
      if (!process.running) throw new Error(process.report);
      return process.lines.length + process.errors.length > 0;
    });
  }

  async end(): Promise<void> {
    for (const name of [...this.#processes.keys()]) await this.stop(name);
  }
}
