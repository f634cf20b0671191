import type { Row } from './row.ts';
import type { Samples } from './samples.ts';
import { pairedRatios, summarize, type Summary } from './support/statistics.ts';
import { formatNumber, formatTable } from './support/table.ts';
import type { Sample, Workload } from './workload.ts';

const SUITE = 'data-path';
/** Ours against each peer, like with like, and the C server against the loop: what NBD costs whoever stands behind it. */
const RATIOS: readonly (readonly [string, string])[] = [
  ['aoe-csi+nbd', 'c-loop'],
  ['aoe-csi+nbd', 'c-loop+nbd'],
  ['aoe-csi+nbd', 'qemu-nbd+libiscsi'],
  ['aoe-csi+nbd', 'nbdkit-tcp'],
  ['aoe-csi engine', 'c-loop'],
  ['c-loop+nbd', 'c-loop'],
];
const GIBIBYTE = 1_073_741_824;

/** One MTU's samples, told as rows for machines and as tables for people. */
export class DataPathReport {
  readonly #samples: Samples;
  readonly #mtu: number;
  readonly #workloads: readonly Workload[];
  readonly #subjects: readonly string[];

  constructor(samples: Samples, mtu: number, workloads: readonly Workload[], subjects: readonly string[]) {
    this.#samples = samples;
    this.#mtu = mtu;
    this.#workloads = workloads;
    this.#subjects = subjects;
  }

  rows(): Row[] {
    const rows: Row[] = [];
    for (const workload of this.#workloads) {
      const add = (subject: string, values: readonly number[], unit: string, spread = false): void => {
        if (values.length === 0) return;
        const row = { suite: SUITE, workload: `${workload.name} mtu${this.#mtu}`, subject };
        const { median, low, high } = summarize(values);
        rows.push({ ...row, value: median, unit });
        if (spread) rows.push({ ...row, value: low, unit: `${unit} lowest` }, { ...row, value: high, unit: `${unit} highest` });
      };
      for (const subject of this.#subjects) {
        add(subject, this.#results(workload, subject), workload.unit, true);
        add(
          subject,
          this.#samples.values(workload, subject, (sample) => sample.latencyP99Us),
          'p99 us',
        );
        add(subject, this.#samples.values(workload, subject, cpuPerGibibyte), 'initiator cpu s/GiB');
      }
      for (const [ours, theirs] of this.#pairs()) {
        add(`${ours} / ${theirs}`, this.#ratios(workload, ours, theirs), 'ratio', true);
      }
    }
    return rows;
  }

  /** Results, ratios and processor time: three tables in Markdown, each value with its lowest and highest round. */
  text(): string {
    const results = this.#table(`MTU ${this.#mtu}`, this.#subjects, (workload, subject) => this.#results(workload, subject));
    const pairs = this.#pairs();
    const ratios = this.#table(
      'ratio',
      pairs.map(([ours, theirs]) => `${ours} / ${theirs}`),
      (workload, _, column) => this.#ratios(workload, ...pairs[column]),
    );
    const cpu = this.#table('initiator CPU s/GiB', this.#subjects, (workload, subject) =>
      this.#samples.values(workload, subject, cpuPerGibibyte),
    );
    return [results, ...(pairs.length > 0 ? [ratios] : []), cpu, this.#trust()].join('\n\n');
  }

  #trust(): string {
    const disturbances = this.#samples.all().map((sample) => sample.disturbance);
    if (disturbances.length === 0) return 'No sample was taken.';
    const { median, high } = summarize(disturbances);
    return `Other programs kept ${median.toFixed(2)} processors busy during a sample (median; at most ${high.toFixed(2)}).`;
  }

  #table(
    title: string,
    columns: readonly string[],
    values: (workload: Workload, column: string, index: number) => number[],
  ): string {
    const lines = this.#workloads.map((workload) => [
      `${workload.name}, ${workload.unit}`,
      ...columns.map((column, index) => cell(values(workload, column, index))),
    ]);
    return formatTable([title, ...columns], lines);
  }

  #results(workload: Workload, subject: string): number[] {
    return this.#samples.results(workload, subject).filter((value) => value !== undefined);
  }

  #ratios(workload: Workload, ours: string, theirs: string): number[] {
    return pairedRatios(this.#samples.results(workload, ours), this.#samples.results(workload, theirs));
  }

  #pairs(): (readonly [string, string])[] {
    return RATIOS.filter((pair) => pair.every((name) => this.#subjects.includes(name)));
  }
}

function cpuPerGibibyte(sample: Sample): number {
  return (sample.initiatorCpuSeconds * GIBIBYTE) / sample.bytes;
}

function cell(values: readonly number[]): string {
  if (values.length === 0) return '-';
  const { median, low, high }: Summary = summarize(values);
  return `${formatNumber(median)} (${formatNumber(low)}–${formatNumber(high)})`;
}
