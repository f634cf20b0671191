import type { Lie } from './faults-lies.ts';
import { eventually, within, type TestProcess } from './faults-process.ts';

/** How a target of a test's own making behaves. Everything but the address can be changed while it runs. */
export interface FakeTargetOptions {
  readonly shelf: number;
  readonly slot: number;
  /** The MAC it answers from; the interface's own where it is left out. */
  readonly mac?: string;
  readonly config: 'good' | 'silent';
  readonly identify: 'good' | 'silent' | 'short' | 'error';
  readonly reads: 'good' | 'silent' | 'short' | 'no data';
  readonly writes: 'good' | 'silent';
  /** Answers to reads, writes and flushes at or beyond this LBA are errors. */
  readonly badFromLba: number;
  /** The first request at or beyond this LBA makes it fall silent altogether, until its behaviour is set again. */
  readonly silentFromLba: number;
  /** Reads and writes at or beyond this LBA are not answered: the disk hangs there. */
  readonly hangsFromLba: number;
  /** The error: an AoE error code, or 0 for the two ATA registers. */
  readonly aoeError: number;
  readonly ataStatus: number;
  readonly ataError: number;
  /** Size; only the first `contentSectors` of it have content of their own, the rest repeats them. */
  readonly sectors: number;
  /** IDENTIFY's eight bytes of the 48-bit size, as they stand there, where they are no number. */
  readonly sizeField?: string;
  readonly serial: string;
  readonly bufferCount: number;
  readonly sectorCount: number;
  /** Every answer to I/O waits for so long. */
  readonly delayMs: number;
  /** What is sent besides every true answer to I/O. */
  readonly lies: readonly Lie[];
}

export const FAKE_TARGET_DEFAULTS: FakeTargetOptions = {
  shelf: 10,
  slot: 3,
  config: 'good',
  identify: 'good',
  reads: 'good',
  writes: 'good',
  badFromLba: Number.MAX_SAFE_INTEGER,
  silentFromLba: Number.MAX_SAFE_INTEGER,
  hangsFromLba: Number.MAX_SAFE_INTEGER,
  aoeError: 0,
  ataStatus: 0x41,
  ataError: 0x40,
  sectors: 131_072,
  serial: 'fake',
  bufferCount: 64,
  sectorCount: 2,
  delayMs: 0,
  lies: [],
};

/** Behaviour of a target that is gone. */
export const SILENT = { config: 'silent', identify: 'silent', reads: 'silent', writes: 'silent' } as const;

export const ANSWERING = { config: 'good', identify: 'good', reads: 'good', writes: 'good' } as const;

export const CONTENT_SECTORS = 131_072;

/** Frames that nobody asked for. */
export interface Storm {
  readonly kind: 'announcements' | 'noise';
  readonly frames: number;
}

export interface FakeTargetReport {
  readonly configs: number;
  readonly identifies: number;
  readonly reads: number;
  readonly writes: number;
  /** Most I/O requests that waited for their answers at once. */
  readonly waitingMax: number;
  readonly liesTold: number;
}

/** A line of input of faults-fake-target.ts. */
export interface FakeTargetCommand {
  readonly set?: Partial<FakeTargetOptions>;
  readonly storm?: Storm;
}

/** faults-fake-target.ts in another process. */
export class FakeTargetClient {
  readonly process: TestProcess;

  constructor(process: TestProcess) {
    this.process = process;
  }

  async ready(timeoutMs: number): Promise<void> {
    await eventually('the fake target to start', timeoutMs, () => {
      if (!this.process.running) throw new Error(this.process.report);
      return this.process.lines.length > 0;
    });
  }

  /** Behaves so from now on. */
  async set(options: Partial<FakeTargetOptions>): Promise<void> {
    await this.#tell({ set: options });
  }

  /** Behaves so from now on, and announces itself as a target does that has just started. */
  async appear(options: Partial<FakeTargetOptions>): Promise<void> {
    await this.#tell({ set: options, storm: { kind: 'announcements', frames: 3 } });
  }

  /** Sends frames as fast as they go; returns when they have gone. */
  async storm(storm: Storm): Promise<void> {
    await this.#tell({ storm });
  }

  /** What it has seen so far. */
  async report(): Promise<FakeTargetReport> {
    return this.#tell({});
  }

  async #tell(command: FakeTargetCommand): Promise<FakeTargetReport> {
    const before = this.process.lines.length;
    this.process.write(JSON.stringify(command));
    const answered = eventually('the fake target to answer', 10_000, () => this.process.lines.length > before);
    await within('a command to the fake target', 10_000, answered);
    return JSON.parse(this.process.lines[before]) as FakeTargetReport;
  }
}
