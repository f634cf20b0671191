import { readFileSync } from 'node:fs';

/** Numbers of capabilities(7). */
export const CAP_NET_RAW = 13n;
export const CAP_IPC_LOCK = 14n;
export const CAP_SYS_ADMIN = 21n;
export const CAP_SYS_RESOURCE = 24n;

/** Whether this process may use a capability now. */
export function hasCapability(number: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> number) & 1n) === 1n;
}
