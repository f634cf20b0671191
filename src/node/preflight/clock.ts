import { PASSED, warning, type Finding } from './finding.ts';

/** Certificates and tokens are good for longer than this, times in logs can be compared. */
const SKEW_MS_MAX = 30_000;

/** @param skewMs how far this machine's clock is ahead of the API server's; undefined where there is none, or it does not answer */
export function checkClock(skewMs: number | undefined): Finding {
  if (skewMs === undefined || Math.abs(skewMs) <= SKEW_MS_MAX) return PASSED;
  const how = skewMs > 0 ? 'ahead of' : 'behind';
  // Not by how much: a finding that reads differently at each look would be written at each look.
  return warning(
    `this machine's clock is more than ${SKEW_MS_MAX / 1000} s ${how} the API server's; set it, and keep it right (chrony, systemd-timesyncd)`,
  );
}
