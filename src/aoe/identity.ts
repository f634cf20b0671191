/** What makes a disk the same disk: compared before I/O starts, and whenever its target may have been replaced. */
import type { Identity } from './identify.ts';

/** The disk, with its size. */
export type DiskIdentity = Pick<Identity, 'serial' | 'model' | 'sectors'>;

/**
 * Why `found` can't be the disk `expected`, or undefined when it can. A firmware may be upgraded and a disk may grow: neither is a
 * reason. A smaller one is: it would lose the end of the volume.
 */
export function identityMismatch(expected: DiskIdentity, found: DiskIdentity): string | undefined {
  if (found.serial !== expected.serial || found.model !== expected.model) {
    return `expected ${describeIdentity(expected)}; found ${describeIdentity(found)}`;
  }
  if (found.sectors < expected.sectors) {
    return `the disk shrank from ${String(expected.sectors)} to ${String(found.sectors)} sectors`;
  }
  return undefined;
}

/** Whether two answers are of one disk, which may have grown or shrunk between them. */
export function isSameDisk(one: Identity, other: Identity): boolean {
  return one.serial === other.serial && one.model === other.model;
}

export function describeIdentity(identity: DiskIdentity): string {
  return `serial "${identity.serial}", model "${identity.model}", ${String(identity.sectors)} sectors`;
}
