import type { Measurement, Workload } from '../workload.ts';
import type { RunningProcess } from './processes.ts';

/** The part of fio's JSON report that is read here (fio-3.x, `jobs[0].read` or `.write`). */
interface FioDirection {
  readonly io_bytes: number;
  readonly total_ios: number;
  /** Milliseconds. */
  readonly runtime: number;
  readonly clat_ns: { readonly percentile?: Record<string, number> };
}

interface FioReport {
  readonly jobs: readonly [{ readonly error: number; readonly read: FioDirection; readonly write: FioDirection }];
}

/**
 * Runs a workload with fio's nbd engine (libnbd) on `uri` for `seconds`. `launch` says where (a network namespace).
 * Throws with fio's words when it fails. `initiatorCpuSeconds` is left to the caller, who knows the process.
 */
export async function runFio(
  uri: string,
  workload: Workload,
  sizeBytes: number,
  seconds: number,
  launch: (commandLine: readonly string[]) => RunningProcess,
): Promise<Omit<Measurement, 'initiatorCpuSeconds'>> {
  const output = await launch([
    'fio',
    '--name=bench',
    '--ioengine=nbd',
    `--uri=${uri}`,
    `--rw=${workload.pattern}`,
    `--bs=${workload.blockBytes}`,
    `--iodepth=${workload.depth}`,
    `--size=${sizeBytes}`,
    `--runtime=${seconds}`,
    '--time_based',
    '--norandommap',
    '--output-format=json',
  ]).finish();
  return parseReport(output, workload);
}

/** fio prints warnings before its JSON: the report begins at the first brace. */
function parseReport(output: string, workload: Workload): Omit<Measurement, 'initiatorCpuSeconds'> {
  const report = JSON.parse(output.slice(output.indexOf('{'))) as FioReport;
  const job = report.jobs[0];
  if (job.error !== 0) throw new Error(`fio: ${workload.name} ended with error ${job.error}: ${output.slice(0, 500)}`);
  const direction = workload.pattern.endsWith('read') ? job.read : job.write;
  if (direction.total_ios === 0) throw new Error(`fio: ${workload.name} did no request: ${output.slice(0, 500)}`);
  const p99Ns = direction.clat_ns.percentile?.['99.000000'];
  return {
    seconds: direction.runtime / 1000,
    requests: direction.total_ios,
    bytes: direction.io_bytes,
    latencyP99Us: p99Ns === undefined ? undefined : p99Ns / 1000,
  };
}
