import { existsSync, mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { aoeCsi, initiatorCommandLine, TARGET_NAME, targetCommandLine, type TargetKind } from './commands.ts';
import { Daemon } from './daemon.ts';
import { makeDisk } from './disk.ts';
import type { Narrator } from './narrator.ts';
import { shareMounts } from './mounts.ts';
import { buildNetwork, INTERFACE } from './network.ts';
import type { DemoRun } from './run.ts';

export interface DemoOptions {
  readonly target: TargetKind;
  /** How much is written. */
  readonly sizeBytes: number;
  readonly mtu: number;
}

/** How long the target is away when it is restarted in the middle of the writing. */
const OUTAGE_MS = 2_000;
/** The disk is larger than what is written, so that a file system fits around it; its holes cost nothing. */
const DISK_FACTOR = 2;
const BLOCK_BYTES = 4096;

/** Two machines on a storage network: a target there, an initiator here. */
export class Laboratory {
  readonly run: DemoRun;
  readonly options: DemoOptions;
  readonly narrator: Narrator;
  /** Rejects when target or initiator end by themselves; never resolves. */
  readonly broken: Promise<never>;
  readonly #disk: string;
  #target: Daemon;
  #restarted: Promise<void> | undefined;
  readonly #break: (reason: unknown) => void;

  /** Builds and starts everything. What it has made when it fails is found by its run. */
  static async build(run: DemoRun, options: DemoOptions, backend: string, narrator: Narrator): Promise<Laboratory> {
    await shareMounts(run.folder);
    await buildNetwork(run, options.mtu);
    const diskBytes = Math.ceil((options.sizeBytes * DISK_FACTOR) / BLOCK_BYTES) * BLOCK_BYTES;
    narrator.say(`network: two namespaces joined by a virtual cable, interface ${INTERFACE} on both sides, MTU ${options.mtu}`);
    const disk = makeDisk(run.diskFolderName, diskBytes, options.sizeBytes);
    const laboratory = new Laboratory(run, options, narrator, disk);
    narrator.say(`target: ${options.target} serves ${disk} as ${TARGET_NAME}`);
    mkdirSync(run.runDirectory, { recursive: true });
    const initiator = new Daemon('initiator', run.log('initiator'), initiatorCommandLine(run, backend));
    await initiator.ready(() => existsSync(run.socketPath));
    initiator.broken.catch(laboratory.#break);
    narrator.say(`initiator: runs on the other side, AoE on ${INTERFACE} only`);
    return laboratory;
  }

  private constructor(run: DemoRun, options: DemoOptions, narrator: Narrator, disk: string) {
    this.run = run;
    this.options = options;
    this.narrator = narrator;
    this.#disk = disk;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.broken = promise;
    this.#break = reject;
    this.#target = this.#startTarget();
  }

  /** Attaches the target and returns its device. */
  async attach(): Promise<string> {
    const startedMs = performance.now();
    const device = await aoeCsi(this.run, ['attach', TARGET_NAME]);
    this.narrator.say(`aoe-csi attach ${TARGET_NAME}: ${device} (${Math.round(performance.now() - startedMs)} ms)`);
    return device;
  }

  async detach(): Promise<void> {
    await aoeCsi(this.run, ['detach', TARGET_NAME]);
    this.narrator.say(`aoe-csi detach ${TARGET_NAME}`);
  }

  /** Kills the target, as a power failure would, and starts it again a little later; the first time this is called. */
  restartTargetOnce(signal: AbortSignal): void {
    if (this.#restarted !== undefined) return;
    this.#restarted = this.#restartTarget(signal);
    this.#restarted.catch(this.#break);
  }

  /** The end of that. */
  get restarted(): Promise<void> {
    return this.#restarted ?? Promise.resolve();
  }

  async #restartTarget(signal: AbortSignal): Promise<void> {
    await this.#target.stop('SIGKILL');
    this.narrator.say('target: killed while data is being written');
    await sleep(OUTAGE_MS, undefined, { signal });
    this.#target = this.#startTarget();
    this.narrator.say(`target: started again after ${OUTAGE_MS / 1000} s`);
  }

  #startTarget(): Daemon {
    const target = new Daemon('target', this.run.log('target'), targetCommandLine(this.run, this.options.target, this.#disk));
    target.broken.catch(this.#break);
    return target;
  }
}
