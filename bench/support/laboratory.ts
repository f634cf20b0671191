import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DIRECTORY_PREFIX, NetworkPair, volumeDirectory } from './network.ts';
import { RunningProcess } from './processes.ts';

const MEBIBYTE = 1_048_576;
/** What every target serves: more than the caches of a processor, little enough for a laptop's memory. */
export const VOLUME_BYTES = 512 * MEBIBYTE;
/** What a shell makes of SIGINT. */
const EXIT_INTERRUPTED = 130;
export const SHELF = 10;
export const SLOT = 3;

const PEERS = fileURLToPath(new URL('../../../bench/peers/', import.meta.url));

/** What the wire is like. */
export interface Conditions {
  readonly mtu: number;
  /** TCP may leave the cutting of segments to the interface, as with any network card of today. AoE has nothing like it. */
  readonly offload: boolean;
}

/** The command line of one of bench/hosts. */
export function hostProgram(name: string): string[] {
  return [process.execPath, fileURLToPath(new URL(`../hosts/${name}.js`, import.meta.url))];
}

/** Where subjects are measured: a pair of namespaces, a volume in memory, and every process that was started for it. */
export class Laboratory {
  readonly mtu: number;
  /** A volume full of random bytes in a tmpfs. All targets serve this one file, one at a time. */
  readonly volumePath: string;
  /** For sockets and compiled peers. */
  readonly directory: string;
  readonly #network: NetworkPair;
  readonly #processes = new Set<RunningProcess>();

  constructor({ mtu, offload }: Conditions) {
    this.mtu = mtu;
    this.directory = mkdtempSync(join(tmpdir(), DIRECTORY_PREFIX));
    mkdirSync(volumeDirectory(), { recursive: true });
    this.volumePath = join(volumeDirectory(), 'volume');
    fillVolume(this.volumePath);
    this.#network = new NetworkPair(mtu, offload);
  }

  /** Data sectors of a frame, as our initiator cuts them: whole 4 KiB where the MTU allows. */
  get sectorsPerFrame(): number {
    const most = Math.floor((this.mtu - 36) / 512);
    return most >= 8 ? most - (most % 8) : most;
  }

  startOnInitiator = (commandLine: readonly string[]): RunningProcess => this.#start(this.#network.onInitiator(commandLine));

  startOnTarget = (commandLine: readonly string[]): RunningProcess => this.#start(this.#network.onTarget(commandLine));

  /** Process ids of everything that was started here and may still run. */
  *pids(): Iterable<number> {
    for (const running of this.#processes) if (!running.hasEnded) yield running.pid;
  }

  /** Compiles one of bench/peers and returns the program's path. */
  compile(name: string, ...sources: string[]): string {
    const program = join(this.directory, name);
    const paths = [`${name}.c`, ...sources].map((source) => join(PEERS, source));
    execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', program, ...paths], { stdio: ['ignore', 'ignore', 'pipe'] });
    return program;
  }

  /** Stops every process and removes everything. Afterwards it is of no use. */
  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((running) => running.stop()));
    this.#remove();
  }

  /** The same at once, for a process that is being ended. */
  abandon(): void {
    for (const running of this.#processes) running.kill();
    this.#remove();
  }

  #start(commandLine: readonly string[]): RunningProcess {
    const running = new RunningProcess(commandLine);
    this.#processes.add(running);
    return running;
  }

  #remove(): void {
    this.#network.remove();
    rmSync(this.directory, { recursive: true, force: true });
    rmSync(volumeDirectory(), { recursive: true, force: true });
  }
}

/** Works in a laboratory and takes it down afterwards, also when the user ends the bench. */
export async function withLaboratory<Result>(
  conditions: Conditions,
  work: (laboratory: Laboratory) => Promise<Result>,
): Promise<Result> {
  const laboratory = new Laboratory(conditions);
  const abandon = (): void => {
    laboratory.abandon();
    process.exit(EXIT_INTERRUPTED);
  };
  process.once('SIGINT', abandon).once('SIGTERM', abandon);
  try {
    return await work(laboratory);
  } finally {
    process.off('SIGINT', abandon).off('SIGTERM', abandon);
    await laboratory.close();
  }
}

/** Random bytes, so that no page is a hole and no zero is detected. */
function fillVolume(path: string): void {
  const piece = randomFillSync(Buffer.allocUnsafe(MEBIBYTE));
  const file = openSync(path, 'w');
  for (let written = 0; written < VOLUME_BYTES; written += MEBIBYTE) writeSync(file, piece);
  closeSync(file);
}
