import { basename } from 'node:path';

/** About how many seconds files of cases take in one guest on a quiet machine; it only decides which guest runs them. */
const SECONDS: Readonly<Record<string, number>> = {
  'csi-sanity': 280,
  'nbd-hand-over': 255,
  'csi-crash': 225,
  'nbd-hazards': 195,
  'prove-endings': 180,
  'prove-faults': 165,
  pressure: 160,
  'nbd-away': 155,
  'nbd-sick-target': 140,
  demo: 130,
  'nbd-hand-over-crash': 110,
  peers: 80,
  'nbd-names': 75,
  'nbd-life': 70,
  'nbd-preflight': 45,
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
