import { basename } from 'node:path';

/** About how many seconds files of cases take in one guest on a quiet machine; it only decides which guest runs them. */
const SECONDS: Readonly<Record<string, number>> = {
  'csi-crash': 240,
  'csi-sanity': 240,
  'prove-endings': 230,
  'prove-faults': 230,
  'nbd-away': 160,
  'nbd-hazards': 150,
  'nbd-hand-over-crash': 130,
  pressure: 130,
  peers: 130,
  demo: 110,
};
const SECONDS_OF_OTHERS = 45;

/**
 * Shares files out among guests that run beside each other, so that all end at about the same time; each runs its own in the order
 * given.
 */
export function lanesOf(files: readonly string[], count: number): readonly (readonly string[])[] {
  const lanes = Array.from({ length: Math.min(count, files.length) }, () => ({ files: [] as string[], seconds: 0 }));
  for (const file of files.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const shortest = lanes.reduce((least, lane) => (lane.seconds < least.seconds ? lane : least));
    shortest.files.push(file);
    shortest.seconds += secondsOf(file);
  }
  return lanes.map((lane) => lane.files.toSorted((a, b) => files.indexOf(a) - files.indexOf(b)));
}

function secondsOf(file: string): number {
  return SECONDS[basename(file, '.js')] ?? SECONDS_OF_OTHERS;
}
