import { basename } from 'node:path';

/** About how many seconds files of cases take in one guest on a quiet machine; it only decides which guest runs them. */
const SECONDS: Readonly<Record<string, number>> = {
  'csi-sanity': 330,
  'csi-crash': 270,
  'prove-endings': 230,
  'nbd-hazards': 230,
  'nbd-hand-over': 220,
  'prove-faults': 150,
  'nbd-hand-over-crash': 140,
  'nbd-away': 120,
  demo: 110,
  peers: 110,
  pressure: 90,
  'nbd-life': 80,
  'nbd-names': 80,
  'nbd-preflight': 70,
  'nbd-sick-target': 110,
};
const SECONDS_OF_OTHERS = 10;

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
