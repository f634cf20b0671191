/**
 * Where a test lets the controller be killed, as `kill -9` or a power failure would: after each step that others can see. Tests
 * visit all of them (test/conformance/controller-crash.test.ts). The node plugin has a list of its own, src/node/crash-points.ts.
 */
export const CONTROLLER_CRASH_POINTS = [
  'create-started',
  'create-taken',
  'create-yielded',
  'create-decided',
  'create-given-up',
  'create-confirmed',
  'delete-released',
  'publish-recorded',
  'unpublish-leaving',
  'unpublish-fencing',
  'unpublish-removed',
  'expand-recorded',
  'modify-recorded',
] as const;
export type ControllerCrashPoint = (typeof CONTROLLER_CRASH_POINTS)[number];

/** Names the point at which the process shall die. Never set in production. */
const CRASH_VARIABLE = 'AOE_CSI_CRASH_AT';

/** Kills this process without any further word if it is to die here; else does nothing. */
export function crashPoint(point: ControllerCrashPoint): void {
  if (process.env[CRASH_VARIABLE] === point) process.kill(process.pid, 'SIGKILL');
}
