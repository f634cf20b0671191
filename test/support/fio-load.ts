import { eventually, TestProcess } from './faults-process.ts';

const HOURS = '3h';
const END_MS = 30_000;

/** What fio said when it was ended. */
export interface FioLoadResult {
  /** errno of the first error, 0 for none; a block whose checksum is wrong is EILSEQ. */
  readonly error: number;
  readonly reads: number;
  readonly writes: number;
  readonly text: string;
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly read: { readonly total_ios: number };
    readonly write: { readonly total_ios: number };
  }[];
}

/** fio that writes blocks of many sizes and verifies each one's checksum, at a pace that leaves time for others, until it is ended. */
export class FioLoad {
  readonly #process: TestProcess;

  /** @param words which file or device, and where in it */
  constructor(folder: string, ...words: string[]) {
    const job = ['--name=load', '--rw=randrw', '--bsrange=4k-64k', '--iodepth=4', '--serialize_overlap=1', '--rate_iops=8,8'];
    const check = ['--verify=crc32c', '--verify_backlog=16', '--verify_fatal=1', '--verify_state_save=0'];
    const way = ['--ioengine=libaio', '--direct=1', '--time_based', `--runtime=${HOURS}`, '--output-format=json'];
    this.#process = new TestProcess('fio', ['fio', ...job, ...check, ...way, ...words], folder);
  }

  get running(): boolean {
    return this.#process.running;
  }

  /** Ends it; what it has found. */
  async end(): Promise<FioLoadResult> {
    this.#process.signal('SIGINT');
    await eventually('fio to end', END_MS, () => !this.#process.running);
    const said = this.#process.lines.join('\n');
    const start = said.indexOf('{');
    const text = `${said.slice(0, Math.max(start, 0))}${this.#process.errors.join('\n')}`;
    if (start < 0) throw new Error(`fio said no result: ${text}`);
    const [job] = (JSON.parse(said.slice(start)) as FioReport).jobs;
    return { error: job.error, reads: job.read.total_ios, writes: job.write.total_ios, text };
  }

  kill(): void {
    this.#process.signal('SIGKILL');
  }
}
