import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { command, type Requirement } from './requires.ts';

/** https://docs.kernel.org/admin-guide/binfmt-misc.html */
const BINFMT = '/proc/sys/fs/binfmt_misc';
const ARM64 = `${BINFMT}/qemu-aarch64`;
/** How Debian's package says it, for a service that test machines don't have. */
const REGISTRATION = '/usr/lib/binfmt.d/qemu-aarch64.conf';
const UNREGISTER = '-1';

/** What it needs to run programs for arm64. */
export const EMULATION: readonly Requirement[] = [
  command('qemu-aarch64-static', 'qemu-user-static'),
  command('arch-test', 'arch-test'),
];

/** Lets this machine run programs for arm64. @returns what leaves it as it was before */
export function emulateArm64(): () => void {
  if (existsSync(ARM64)) return () => undefined;
  const isMounted = existsSync(`${BINFMT}/register`);
  if (!isMounted) execFileSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', BINFMT]);
  writeFileSync(`${BINFMT}/register`, readFileSync(REGISTRATION, 'utf8').trim());
  return () => {
    writeFileSync(ARM64, UNREGISTER);
    if (!isMounted) execFileSync('umount', [BINFMT]);
  };
}
