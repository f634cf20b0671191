import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from '@jest/globals';
import { hasCapability } from '../../src/system/capabilities.ts';

/** Something a test needs from the machine it runs on. */
export interface Requirement {
  /** Undefined where the machine has it; else what is missing and how to get it, for a person. */
  readonly missing: string | undefined;
  /** A continuous-integration machine always has it, so that a skip there would hide a fault. */
  readonly certainInCi: boolean;
}

/** The test makes network interfaces, mounts or opens packet sockets. */
export function root(): Requirement {
  const missing = process.getuid?.() === 0 ? undefined : 'needs root: run `sudo npm test`';
  return { missing, certainInCi: true };
}

/**
 * The test starts a program from a Debian package.
 * @param name as in PATH, e.g. `vblade`
 * @param debianPackage where it differs from the program's name, e.g. `libnbd-bin` for `nbdinfo`
 */
export function command(name: string, debianPackage = name): Requirement {
  const missing = isInPath(name) ? undefined : `needs ${name}: run \`apt-get install ${debianPackage}\``;
  return { missing, certainInCi: true };
}

/** The test uses a device node that depends on the kernel, e.g. `/dev/fuse`. Not even every CI machine has it. */
export function device(path: string): Requirement {
  const missing = canOpen(path) ? undefined : `needs ${path}: load its kernel module, or let the container use it`;
  return { missing, certainInCi: false };
}

/** The test needs a right that root has not got in every container. @param name as in capabilities(7) */
export function capability(number: bigint, name: string): Requirement {
  const missing = hasCapability(number) ? undefined : `needs ${name}: give the container this capability`;
  return { missing, certainInCi: false };
}

/** A `describe` whose tests are skipped, with the reason in their name, where a requirement is missing; in CI that is a failure. */
export function describeIf(requirements: readonly Requirement[], name: string, define: () => void): void {
  const unmet = firstUnmet(requirements);
  if (unmet === undefined) describe(name, define);
  else if (mustFail(unmet)) test(name, () => refuse(unmet));
  else describe.skip(nameWithReason(name, unmet), define);
}

/** A `test` that is skipped, with the reason in its name, where a requirement is missing; in CI that is a failure. */
export function testIf(
  requirements: readonly Requirement[],
  name: string,
  run: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  const unmet = firstUnmet(requirements);
  if (unmet === undefined) test(name, run, timeoutMs);
  else if (mustFail(unmet)) test(name, () => refuse(unmet));
  else test.skip(nameWithReason(name, unmet), run, timeoutMs);
}

function firstUnmet(requirements: readonly Requirement[]): Requirement | undefined {
  return requirements.find((requirement) => requirement.missing !== undefined);
}

function mustFail(unmet: Requirement): boolean {
  return unmet.certainInCi && process.env['CI'] === 'true';
}

function refuse(unmet: Requirement): never {
  throw new Error(`cannot run this test in CI, where a skip counts as a failure: it ${unmet.missing}`);
}

/** test/support/reporter.ts finds the reason between these brackets. */
function nameWithReason(name: string, unmet: Requirement): string {
  return `${name} [skipped: ${unmet.missing}]`;
}

/** /usr/sbin and /sbin hold what root's tests start, also where PATH lacks them. */
function isInPath(name: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => isExecutable(join(folder, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Opening says more than the node's mode: a container may show a device that it must not use. */
function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return true;
  } catch {
    return false;
  }
}
