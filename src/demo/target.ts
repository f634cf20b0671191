import { truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TARGET_NAME, targetCommandLine } from './commands.ts';
import type { Daemon } from './daemon.ts';
import { makeDisk } from './disk.ts';
import type { Laboratory } from './laboratory.ts';
import { Once } from './once.ts';

/** How long the target is away when it fails. */
const OUTAGE_MS = 2_000;

/** The machine on the other side, and the disk that it serves. */
export class Target {
  /** The file that is the disk. */
  readonly disk: string;
  /** Kills the target, as a power failure would, and starts it again a little later. */
  readonly outage: Once;
  readonly #laboratory: Laboratory;
  #daemon: Daemon;

  /** @param usedBytes how much of the disk will really be written */
  constructor(laboratory: Laboratory, sizeBytes: number, usedBytes: number) {
    this.#laboratory = laboratory;
    this.disk = makeDisk(laboratory.run.diskFolderName, sizeBytes, usedBytes);
    this.outage = new Once(async () => this.#fail(), laboratory.fail);
    this.#daemon = this.#start();
    laboratory.narrator.say(`target: ${laboratory.options.target} serves ${this.disk} as ${TARGET_NAME}`);
  }

  /** Serves a larger disk from now on: what an operator does where the disk is. */
  async grow(sizeBytes: number): Promise<void> {
    await this.#daemon.stop('SIGKILL');
    truncateSync(this.disk, sizeBytes);
    this.#daemon = this.#start();
    this.#laboratory.narrator.say(`target: its disk has ${Math.round(sizeBytes / 1e6)} MB now, and it was started anew`);
  }

  async #fail(): Promise<void> {
    const { narrator, signal } = this.#laboratory;
    await this.#daemon.stop('SIGKILL');
    narrator.say('target: killed while data is being written');
    await sleep(OUTAGE_MS, undefined, { signal });
    this.#daemon = this.#start();
    narrator.say(`target: started again after ${OUTAGE_MS / 1000} s`);
  }

  #start(): Daemon {
    const { run, options } = this.#laboratory;
    return this.#laboratory.start('target', targetCommandLine(run, options.target, this.disk));
  }
}
