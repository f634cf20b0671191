import { existsSync, mkdirSync } from 'node:fs';
import type { BackendChoice } from '../initiator/attach/backend.ts';
import { initiatorCommandLine, type TargetKind } from './commands.ts';
import { Daemon } from './daemon.ts';
import { shareMounts } from './mounts.ts';
import type { Narrator } from './narrator.ts';
import { buildNetwork, initiatorEnd, INTERFACE } from './network.ts';
import type { DemoRun } from './run.ts';
import { Target } from './target.ts';

export interface DemoOptions {
  readonly target: TargetKind;
  /** How much is written. */
  readonly sizeBytes: number;
  readonly mtu: number;
  /** How volumes become devices. */
  readonly backend: BackendChoice;
}

/** The disk is larger than what is written, so that a file system fits around it; its holes cost nothing. */
const DISK_FACTOR = 2;
const BLOCK_BYTES = 4096;

/** The size of as many blocks as it takes for so many bytes. */
export function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Two machines on a storage network: a target there, an initiator here. */
export class Laboratory {
  readonly run: DemoRun;
  readonly options: DemoOptions;
  readonly narrator: Narrator;
  /** Aborted when the demo ends, however it does: nothing is started any more. */
  readonly signal: AbortSignal;
  /** Rejects when a process ends by itself, or what goes on beside the life fails; never resolves. */
  readonly broken: Promise<never>;
  readonly fail: (reason: unknown) => void;
  readonly target: Target;

  /** Builds and starts everything. What it has made when it fails is found by its run. */
  static async build(
    run: DemoRun,
    options: DemoOptions,
    backend: string,
    narrator: Narrator,
    signal: AbortSignal,
  ): Promise<Laboratory> {
    await shareMounts(run.folder);
    // The driver may be reached from the machine's own network only (always before Linux 6.4).
    const here = initiatorEnd(run, backend === 'nbd');
    await buildNetwork(run, here, options.mtu, signal);
    const ends =
      here.namespace === undefined
        ? `this machine and a namespace joined by a virtual cable, interface ${here.interface} here and ${INTERFACE} there`
        : `two namespaces joined by a virtual cable, interface ${INTERFACE} on both sides`;
    narrator.say(`network: ${ends}, MTU ${options.mtu}`);
    const laboratory = new Laboratory(run, options, narrator, signal);
    mkdirSync(run.runDirectory, { recursive: true });
    const initiator = laboratory.start('initiator', initiatorCommandLine(run, here, backend));
    await initiator.ready(() => existsSync(run.socketPath));
    narrator.say(`initiator: runs on the other side, AoE on ${here.interface} only, attach backend ${backend}`);
    return laboratory;
  }

  private constructor(run: DemoRun, options: DemoOptions, narrator: Narrator, signal: AbortSignal) {
    this.run = run;
    this.options = options;
    this.narrator = narrator;
    this.signal = signal;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.broken = promise;
    this.fail = reject;
    this.target = new Target(this, this.diskBytes, options.sizeBytes);
  }

  /** Size of the target's disk at the beginning. */
  get diskBytes(): number {
    return wholeBlocks(this.options.sizeBytes * DISK_FACTOR);
  }

  /** Starts a process that stays; its end, unless it is asked for, is the end of the demo. */
  start(name: string, commandLine: readonly string[]): Daemon {
    this.signal.throwIfAborted();
    const daemon = new Daemon(name, this.run.log(name), commandLine);
    daemon.broken.catch(this.fail);
    return daemon;
  }
}
