/** One number of a suite, as `--json` writes it. Ratios have the subject `ours / theirs` and the unit `ratio`. */
export interface Row {
  readonly suite: string;
  readonly workload: string;
  readonly subject: string;
  readonly value: number;
  readonly unit: string;
}
