import { PASSED, warning, type Finding } from './finding.ts';

/** @param areAllReported whether all targets that are seen have room in the node's record */
export function checkTargets(areAllReported: boolean): Finding {
  if (areAllReported) return PASSED;
  // Not how many: a finding that reads differently at each look would be written at each look.
  return warning(
    'more targets are seen than this node can report (some 6,000: its record would be larger than etcd takes); those with the highest ' +
      'addresses count as not seen here, and get no new volumes. Let it see fewer: interfaces (the value `interfaces`), VLANs, or masks ' +
      'on the targets',
  );
}
