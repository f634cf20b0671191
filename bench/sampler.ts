import { setTimeout as sleep } from 'node:timers/promises';
import type { Subject } from './subject.ts';
import { Disturbance } from './support/disturbance.ts';
import type { Laboratory } from './support/laboratory.ts';
import { formatNumber } from './support/table.ts';
import { resultOf, type Sample, type Workload } from './workload.ts';

const WARM_UP_SECONDS = 0.5;
/** A sample beside which others kept this much of a processor busy is taken again … */
const DISTURBANCE_MAX = 0.15;
/** … this many times at most; then the least disturbed one counts. */
const ATTEMPTS_MAX = 2;
const CALM_PROBE_MS = 200;

export interface SamplerOptions {
  readonly laboratory: Laboratory;
  /** Length of a sample. */
  readonly seconds: number;
  /** How long to wait, before each sample, until others leave the machine alone. */
  readonly patienceSeconds: number;
  /** Where progress goes. */
  readonly progress: (text: string) => void;
}

/** Takes samples while the machine is ours, as far as it ever is. */
export class Sampler {
  readonly #options: SamplerOptions;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** A calm sample, or the least disturbed of a few; undefined when the subject failed. `label` begins the line of progress. */
  async take(subject: Subject, workload: Workload, label: string): Promise<Sample | undefined> {
    let best: Sample | undefined;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      await this.#calm();
      try {
        const sample = await this.#run(subject, workload);
        this.#tell(label, workload, sample);
        if (best === undefined || sample.disturbance < best.disturbance) best = sample;
        if (best.disturbance <= DISTURBANCE_MAX) break;
      } catch (error) {
        this.#options.progress(`${label}: failed: ${error instanceof Error ? error.message : String(error)}`);
        break;
      }
    }
    return best;
  }

  /** Waits, but not for ever, until others leave the machine alone: cheaper than a sample that has to be taken again. */
  async #calm(): Promise<void> {
    const { laboratory, patienceSeconds } = this.#options;
    for (let waitedMs = 0; waitedMs < patienceSeconds * 1000; waitedMs += CALM_PROBE_MS) {
      const disturbance = new Disturbance(() => laboratory.pids());
      await sleep(CALM_PROBE_MS);
      if (disturbance.processors() <= DISTURBANCE_MAX) return;
    }
  }

  /** The initiator lives for one sample only: on one wire, idle ones would be woken by every frame of the one at work. */
  async #run(subject: Subject, workload: Workload): Promise<Sample> {
    const { laboratory, seconds } = this.#options;
    const running = await subject.start(laboratory);
    try {
      await running.run(workload, WARM_UP_SECONDS);
      const disturbance = new Disturbance(() => laboratory.pids());
      const measurement = await running.run(workload, seconds);
      return { ...measurement, disturbance: disturbance.processors() };
    } finally {
      await running.stop();
    }
  }

  #tell(label: string, workload: Workload, sample: Sample): void {
    const others = sample.disturbance > DISTURBANCE_MAX ? ` (others kept ${sample.disturbance.toFixed(2)} processors busy)` : '';
    this.#options.progress(`${label}: ${formatNumber(resultOf(workload, sample))} ${workload.unit}${others}`);
  }
}
