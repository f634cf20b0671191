import { constants, existsSync, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { runProgram } from '../../system/programs.ts';
import type { NbdCalls } from './nbd-calls.ts';

/** CAP_SYS_ADMIN (capabilities(7)). */
const CAP_SYS_ADMIN = 21n;
/** All user ids are themselves: not within a user namespace, whose capabilities the driver does not take. */
const WHOLE_ID_MAP = /^\s*0\s+0\s+4294967295\s*$/;
/** No partitions: what is on a volume is not to be trusted, and scanning it can wait. No devices before they are needed. */
const MODULE = ['nbd', 'max_part=0', 'nbds_max=0'];
const MODPROBE_MS = 20_000;

/** Why the kernel's NBD driver can't be used here, and what to do; undefined where it can. Loads its module where that is possible. */
export async function nbdObstacle(calls: NbdCalls): Promise<string | undefined> {
  const { CapEff: capabilities = '0' } = statusFields();
  if (((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) === 0n) {
    return 'CAP_SYS_ADMIN is missing; run as root, or give it to the container';
  }
  if (!WHOLE_ID_MAP.test(textOf('/proc/self/uid_map'))) {
    return "this is a user namespace, whose root the kernel's NBD driver does not obey; run outside of it (hostUsers)";
  }
  if (!(await isWritable('/sys/block'))) {
    return '/sys is read-only here, and devices are set through it; mount it for writing, in a container with privileged or a mount of /sys';
  }
  try {
    return await familyObstacle(calls);
  } catch (error) {
    return (error as Error).message;
  }
}

async function familyObstacle(calls: NbdCalls): Promise<string | undefined> {
  // Before the kernel is asked: looking for its family, it would load the module by itself, and with other parameters.
  const failure = existsSync('/sys/module/nbd') ? '' : await loadModule();
  const probe = await calls.run({ op: 'probe' });
  switch (probe) {
    case 'usable':
      return undefined;
    case 'too-old':
      return 'this kernel is too old to tell its devices apart; use Linux 5.14 or later, best 6.1 or later';
    default:
      return existsSync('/sys/module/nbd')
        ? 'the nbd module is loaded, but can only be reached from the network namespace of the host (always before Linux 6.4); run there (hostNetwork)'
        : `the kernel's nbd module is not loaded (${failure}); on the host: modprobe ${MODULE.join(' ')}`;
  }
}

async function loadModule(): Promise<string> {
  try {
    await runProgram('modprobe', MODULE, MODPROBE_MS);
    return 'modprobe did nothing';
  } catch (error) {
    return (error as Error).message.replaceAll('\n', ' ');
  }
}

function statusFields(): Record<string, string> {
  const fields = [...textOf('/proc/self/status').matchAll(/^(\w+):\s*(\S+)/gm)];
  return Object.fromEntries(fields.map(([, name, value]) => [name, value]));
}

/** With root's privileges only the file system itself can say no. */
async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== 'EROFS';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
