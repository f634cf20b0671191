/**
 * Where a test lets one of two initiators be killed in the middle of a hand-over: after each step that the other one can see. Tests
 * visit all of them (test/kernel/cases/nbd-hand-over.ts).
 */
export const GIVER_CRASH_POINTS = ['give-frozen', 'give-sent-some', 'give-sent-all', 'give-taken', 'give-let-go'] as const;
export const TAKER_CRASH_POINTS = ['take-ready', 'take-received-some', 'take-received-all', 'take-taken', 'take-thawed'] as const;
export type HandOverCrashPoint = (typeof GIVER_CRASH_POINTS)[number] | (typeof TAKER_CRASH_POINTS)[number];

/** Names the point at which the process shall die. Never set in production. */
const CRASH_VARIABLE = 'AOE_CSI_CRASH_AT';

/** Kills this process without any further word if it is to die here; else does nothing. */
export function crashPoint(point: HandOverCrashPoint): void {
  if (process.env[CRASH_VARIABLE] === point) process.kill(process.pid, 'SIGKILL');
}
