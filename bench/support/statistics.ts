/** Middle, lowest and highest of a few samples: with five of them, more would pretend. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Of an even number of samples the median is the mean of the two in the middle. Throws on none. */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new Error('no samples to summarize: the subject never ran this workload');
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: sorted[0], high: sorted[sorted.length - 1] };
}

/**
 * Ratios of samples taken side by side, round by round: what drifts on the machine between rounds drops out.
 * A round that either side lacks is left out.
 */
export function pairedRatios(ours: readonly (number | undefined)[], theirs: readonly (number | undefined)[]): number[] {
  const ratios: number[] = [];
  for (let round = 0; round < ours.length; round++) {
    const our = ours[round];
    const their = theirs[round];
    if (our !== undefined && their !== undefined && their > 0) ratios.push(our / their);
  }
  return ratios;
}
