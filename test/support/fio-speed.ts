import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What fio measured of one workload. */
export interface FioSpeed {
  readonly mibPerSecond: number;
  readonly operationsPerSecond: number;
  /** Of one request from its submission to its end. */
  readonly medianUs: number;
  readonly p99Us: number;
}

export interface Workload {
  readonly name: string;
  readonly words: readonly string[];
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'read 1m qd4', words: ['--rw=read', '--bs=1m', '--iodepth=4'] },
  { name: 'write 1m qd4', words: ['--rw=write', '--bs=1m', '--iodepth=4'] },
  { name: 'randread 4k qd1', words: ['--rw=randread', '--bs=4k', '--iodepth=1'] },
  { name: 'randread 4k qd16', words: ['--rw=randread', '--bs=4k', '--iodepth=16'] },
  { name: 'randwrite 4k qd16', words: ['--rw=randwrite', '--bs=4k', '--iodepth=16'] },
];

interface Direction {
  readonly bw_bytes: number;
  readonly iops: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

/** All workloads on a device, one after the other in one process, so many seconds each; in their order. */
export async function fioSpeeds(device: string, seconds: number, timeoutMs: number): Promise<FioSpeed[]> {
  const common = [`--filename=${device}`, '--ioengine=libaio', '--direct=1', '--time_based', `--runtime=${String(seconds)}`];
  const jobs = WORKLOADS.flatMap(({ name, words }) => [
    `--name=${name}`,
    '--stonewall',
    '--ramp_time=300ms',
    ...common,
    ...words,
  ]);
  const { stdout } = await run('fio', ['--output-format=json', ...jobs], { timeout: timeoutMs, maxBuffer: 1 << 24 });
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    jobs: { jobname: string; error: number; read: Direction; write: Direction }[];
  };
  return report.jobs.map(({ jobname, error, read, write }) => {
    if (error !== 0) throw new Error(`fio on ${device}, ${jobname}: errno ${String(error)}`);
    const { bw_bytes, iops, clat_ns } = read.iops > 0 ? read : write;
    const us = (percentile: string): number => (clat_ns.percentile?.[percentile] ?? 0) / 1000;
    return {
      mibPerSecond: bw_bytes / 1024 / 1024,
      operationsPerSecond: iops,
      medianUs: us('50.000000'),
      p99Us: us('99.000000'),
    };
  });
}
