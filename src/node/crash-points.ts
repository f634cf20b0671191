/**
 * Where a test lets the process be killed, as `kill -9` or a power failure would: between two steps that change something outside of
 * it, in the order of a volume's life. Tests visit all of them (test/conformance/node-crash.test.ts).
 */
export const CRASH_POINTS = [
  'claim-set',
  'claim-confirmed',
  'stage-recorded',
  'stage-announced',
  'stage-fenced',
  'stage-attached',
  'stage-compared',
  'fingerprint-withdrawn',
  'format-recorded',
  'format-made',
  'format-confirmed',
  'grow-recorded',
  'grow-made',
  'grow-confirmed',
  'stage-mounted',
  'stage-done',
  'publish-recorded',
  'publish-placed',
  'publish-mounted',
  'expand-grown',
  'unpublish-unmounted',
  'unpublish-removed',
  'unstage-recorded',
  'unstage-unmounted',
  'fingerprint-recorded',
  'unstage-detached',
  'device-forgotten',
  'unstage-released',
  'unstage-withdrawn',
  'unstage-forgotten',
  'fence-set',
  'fence-done',
  'wipe-started',
  'wipe-progress',
  'wipe-written',
  'wipe-cleared',
  'wipe-done',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** Names the point at which the process shall die. Never set in production. */
export const CRASH_VARIABLE = 'AOE_CSI_CRASH_AT';

/** Kills this process without any further word if it is to die here; else does nothing. */
export function crashPoint(point: CrashPoint): void {
  if (process.env[CRASH_VARIABLE] === point) process.kill(process.pid, 'SIGKILL');
}
