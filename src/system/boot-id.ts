import { readFileSync } from 'node:fs';

/** The same as long as this machine is up, another after each boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
