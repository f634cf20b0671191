/** What is asked of every subject. */
export interface Workload {
  readonly name: string;
  /** As fio's `--rw` and aoe-loop call it. */
  readonly pattern: 'read' | 'write' | 'randread' | 'randwrite';
  readonly blockBytes: number;
  /** Requests in flight. */
  readonly depth: number;
  /** What the result is stated in. */
  readonly unit: 'MB/s' | 'IOPS';
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'read 64k qd16', pattern: 'read', blockBytes: 65_536, depth: 16, unit: 'MB/s' },
  { name: 'write 64k qd16', pattern: 'write', blockBytes: 65_536, depth: 16, unit: 'MB/s' },
  { name: 'randread 4k qd1', pattern: 'randread', blockBytes: 4096, depth: 1, unit: 'IOPS' },
  { name: 'randread 4k qd32', pattern: 'randread', blockBytes: 4096, depth: 32, unit: 'IOPS' },
  { name: 'randwrite 4k qd32', pattern: 'randwrite', blockBytes: 4096, depth: 32, unit: 'IOPS' },
];

/** What one run of a workload gave. */
export interface Measurement {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  /** Time from a request to its answer as the client saw it; undefined where the subject doesn't measure it. */
  readonly latencyP99Us: number | undefined;
  /** User and system time of the initiator's process, its client not included; NaN where there is no such process. */
  readonly initiatorCpuSeconds: number;
}

/** A measurement, and how far it can be trusted. */
export interface Sample extends Measurement {
  /** Processors that other programs kept busy meanwhile. */
  readonly disturbance: number;
}

/** The result in its workload's unit. */
export function resultOf(workload: Workload, sample: Measurement): number {
  return workload.unit === 'MB/s' ? sample.bytes / 1e6 / sample.seconds : sample.requests / sample.seconds;
}
