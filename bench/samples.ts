import { resultOf, type Sample, type Workload } from './workload.ts';

/** Samples of one suite by workload and subject, in the order of rounds. A round without one (it failed) holds undefined. */
export class Samples {
  readonly #byKey = new Map<string, (Sample | undefined)[]>();

  add(workload: Workload, subject: string, sample: Sample | undefined): void {
    const key = `${workload.name}\n${subject}`;
    const list = this.#byKey.get(key);
    if (list === undefined) this.#byKey.set(key, [sample]);
    else list.push(sample);
  }

  /** Every round's sample; empty when the subject never ran this workload. */
  rounds(workload: Workload, subject: string): readonly (Sample | undefined)[] {
    return this.#byKey.get(`${workload.name}\n${subject}`) ?? [];
  }

  all(): Sample[] {
    return [...this.#byKey.values()].flat().filter((sample) => sample !== undefined);
  }

  /** Every round's result in the workload's unit. */
  results(workload: Workload, subject: string): (number | undefined)[] {
    return this.rounds(workload, subject).map((sample) => sample && resultOf(workload, sample));
  }

  /** `read` of every sample there is, without those that have no such value. */
  values(workload: Workload, subject: string, read: (sample: Sample) => number | undefined): number[] {
    return this.rounds(workload, subject).flatMap((sample) => {
      const value = sample && read(sample);
      return value === undefined || Number.isNaN(value) ? [] : [value];
    });
  }
}
