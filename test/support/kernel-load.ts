import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DurableWriter } from './durable-writer.ts';
import { eventually } from './faults-process.ts';
import { FioLoad } from './fio-load.ts';
import type { KernelNbd } from './kernel-nbd.ts';
import { KINDS, type LoadTargets } from './load-targets.ts';

const PROGRESS_MS = 30_000;

interface Loaded {
  readonly what: string;
  readonly device: string;
  readonly mountPoint: string;
  readonly checker: readonly string[];
  readonly writer: DurableWriter;
  readonly fio: FioLoad;
  /** The target's own file, where a block of the writer has the same place there. */
  readonly disk: string | undefined;
}

/** What became of the writers since the last look. */
export interface LoadReport {
  readonly longestMs: number;
  readonly acknowledged: number;
  /** Errors that writers have seen, and acknowledged writes that are not there. */
  readonly errors: readonly string[];
  readonly lost: readonly string[];
}

/** Writers on a raw device, on ext4 and on XFS that check what they have been promised; beside each of them fio. */
export class KernelLoad {
  readonly #volumes: readonly Loaded[];

  /**
   * Runs a test under a load. What fio, the writers and the checkers of file systems have found fault with in the end, a line each.
   * @param attach makes a volume a device
   */
  static async use(
    host: KernelNbd,
    targets: LoadTargets,
    attach: (name: string) => Promise<string>,
    run: (load: KernelLoad) => Promise<void>,
  ): Promise<string[]> {
    const load = await KernelLoad.#start(host, targets, attach);
    try {
      await run(load);
      return await load.#end();
    } catch (error) {
      load.#abandon();
      throw error;
    }
  }

  static async #start(host: KernelNbd, targets: LoadTargets, attach: (name: string) => Promise<string>): Promise<KernelLoad> {
    const volumes: Loaded[] = [];
    for (const [index, { name, what, check }] of KINDS.entries()) {
      const device = await attach(name);
      const isRaw = what === 'raw';
      const mountPoint = isRaw ? '' : host.mountPoint(what);
      if (!isRaw) execFileSync('mount', [device, mountPoint]);
      const writer = await DurableWriter.open(isRaw ? device : join(mountPoint, 'durable'), index + 1);
      const place = isRaw ? ['--offset=64m', `--filename=${device}`] : [`--filename=${join(mountPoint, 'fio')}`];
      const fio = new FioLoad(host.lab.folder, '--size=24m', ...place);
      volumes.push({ what, device, mountPoint, checker: check, writer, fio, disk: isRaw ? targets.disk(name) : undefined });
      writer.start();
    }
    return new KernelLoad(volumes);
  }

  private constructor(volumes: readonly Loaded[]) {
    this.#volumes = volumes;
  }

  /** Waits until each writer has written anew, or has given up. @throws when one hangs */
  async progress(timeoutMs = PROGRESS_MS): Promise<void> {
    for (const { what, writer } of this.#volumes) {
      const before = writer.report.acknowledged;
      await eventually(`the writer on ${what} to go on`, timeoutMs, () => {
        const { acknowledged, error } = writer.report;
        return error !== '' || acknowledged > before + 1;
      });
    }
  }

  /** How long it takes from now until each writer has written anew. */
  async nextWritesMs(): Promise<number> {
    const before = this.#volumes.map(({ writer }) => writer.report.acknowledged);
    const startedMs = performance.now();
    await eventually('all writers to go on', PROGRESS_MS, () =>
      this.#volumes.every(({ writer }, index) => writer.report.acknowledged > before[index] || writer.report.error !== ''),
    );
    return performance.now() - startedMs;
  }

  /** Looks for all that was acknowledged, then goes on. What is measured from now on is measured anew. */
  async look(): Promise<LoadReport> {
    for (const { writer } of this.#volumes) await writer.stop();
    const reports = this.#volumes.map(({ what, writer }) => ({ what, ...writer.report }));
    const lost = await this.#damage();
    for (const { writer } of this.#volumes) {
      writer.forgetLongest();
      writer.start();
    }
    return {
      longestMs: Math.max(...reports.map(({ longestMs }) => longestMs)),
      acknowledged: reports.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      errors: reports.filter(({ error }) => error !== '').map(({ what, error }) => `${what}: ${error}`),
      lost,
    };
  }

  /** Ends all, unmounts, checks the file systems. */
  async #end(): Promise<string[]> {
    const found: string[] = [];
    for (const { what, fio } of this.#volumes) {
      const { error, text, writes } = await fio.end();
      if (error !== 0) found.push(`fio on ${what}: errno ${String(error)}: ${text}`);
      if (writes === 0) found.push(`fio on ${what} has written nothing`);
    }
    const { errors, lost } = await this.look();
    found.push(...errors, ...lost);
    for (const { writer, mountPoint, checker, device, what } of this.#volumes) {
      await writer.close();
      if (mountPoint !== '') execFileSync('umount', [mountPoint]);
      try {
        if (checker.length > 0) execFileSync(checker[0], [...checker.slice(1), device], { stdio: 'pipe', encoding: 'utf8' });
      } catch (error) {
        found.push(`${what} is damaged: ${(error as Error).message}`);
      }
    }
    return found;
  }

  /** So that what goes wrong here does not go on in other cases. */
  #abandon(): void {
    for (const { fio, writer } of this.#volumes) {
      fio.kill();
      void writer.stop();
    }
  }

  async #damage(): Promise<string[]> {
    // All of it was made durable, so the cache holds nothing that would be lost; what is read then comes from the target.
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    const found: string[] = [];
    for (const { what, writer, disk } of this.#volumes) {
      for (const path of [undefined, ...(disk === undefined ? [] : [disk])]) {
        found.push(
          ...(await writer.damage(path)).map((text) => `${what}${path === undefined ? '' : ', at the target'}: ${text}`),
        );
      }
    }
    return found;
  }
}
