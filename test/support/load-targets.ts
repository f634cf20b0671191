import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from './faults-laboratory.ts';
import type { TestProcess } from './faults-process.ts';
import type { KernelNbd } from './kernel-nbd.ts';
import { startTarget } from './target-process.ts';

/** XFS wants 300 MiB; the files are sparse, and in memory. */
const DISK_BYTES = 320 * MIB;

interface Kind {
  readonly name: string;
  readonly what: string;
  /** Command lines that make and check what is on the volume; none for a raw one. */
  readonly make: readonly string[];
  readonly check: readonly string[];
}

/**
 * Blocks of ext4 are whole pages: of smaller ones the journal keeps copies in memory that the kernel lets no program read, and aoe.ko
 * sends that memory itself. A target on the same machine read something of that kind once, and the kernel stopped (usercopy_abort).
 */
export const MAKE_EXT4 = ['mkfs.ext4', '-qF', '-b', '4096'];

export const KINDS: readonly Kind[] = [
  { name: 'e10.1', what: 'raw', make: [], check: [] },
  { name: 'e10.2', what: 'ext4', make: MAKE_EXT4, check: ['e2fsck', '-fn'] },
  { name: 'e10.3', what: 'xfs', make: ['mkfs.xfs', '-qf'], check: ['xfs_repair', '-n'] },
];

export const VOLUMES = KINDS.map(({ name }) => name);

/** `vblade` says nothing when it starts; `aoe-csi` announces its targets. */
export type TargetProgram = 'vblade' | 'aoe-csi';

/** Targets of three volumes, which can be killed and started again. */
export class LoadTargets {
  readonly #host: KernelNbd;
  readonly #program: TargetProgram;
  readonly #processes: TestProcess[] = [];

  constructor(host: KernelNbd, program: TargetProgram = 'vblade') {
    this.#host = host;
    this.#program = program;
    for (const { name, make } of KINDS) {
      writeFileSync(this.disk(name), '');
      truncateSync(this.disk(name), DISK_BYTES);
      // On the target's own file: it takes the guest's processors a fraction of the time.
      if (make.length > 0) execFileSync(make[0], [...make.slice(1), this.disk(name)], { stdio: 'ignore' });
    }
  }

  disk(name: string): string {
    return join(this.#host.lab.folder, name);
  }

  /** Resolves when they serve. */
  async start(): Promise<void> {
    const { lab } = this.#host;
    if (this.#program === 'vblade') {
      for (const name of VOLUMES) this.#processes.push(await lab.vblade(name, this.disk(name)));
    } else {
      this.#processes.push(await startTarget(lab, ...VOLUMES.map((name) => `${name}=${this.disk(name)}`)));
    }
  }

  /**
   * Starts again those that have ended, as whatever watches over them on a real machine does: a virtual wire whose other end is switched
   * off may answer a reply with ENOBUFS, and on that vblade ends.
   */
  async revive(): Promise<void> {
    if (this.#program !== 'vblade') return;
    for (const [index, name] of VOLUMES.entries()) {
      if (!this.#processes[index].running) this.#processes[index] = await this.#host.lab.vblade(name, this.disk(name));
    }
  }

  /** Takes them away without a word, as when their machine loses power. */
  async kill(): Promise<void> {
    for (const process of this.#processes.splice(0)) await process.end('SIGKILL');
  }
}
