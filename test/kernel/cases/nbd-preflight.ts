import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { eventually } from '../../support/faults-process.ts';
import { KernelNbd } from '../../support/kernel-nbd.ts';
import { kernelCase } from '../guest/cases.ts';

/** Where the kernel's NBD driver can't be used, the initiator says what is missing and what to do. */

const CASES: readonly (readonly [what: string, launcher: readonly string[], said: RegExp])[] = [
  [
    'CAP_SYS_ADMIN',
    ['setpriv', '--bounding-set', '-sys_admin', '--inh-caps', '-sys_admin'],
    /CAP_SYS_ADMIN is missing; run as root/,
  ],
  [
    'a /sys that can be written to',
    ['unshare', '--mount', 'sh', '-c', 'mount -o remount,bind,ro /sys && exec "$@"', 'sh'],
    /\/sys is read-only here, .*; mount it for writing/,
  ],
  [
    'the initial user namespace',
    ['unshare', '--user', '--map-root-user', '--net', '--keep-caps'],
    /this is a user namespace, .*; run outside of it/,
  ],
];

for (const [what, launcher, said] of CASES) {
  kernelCase(`backend nbd without ${what} is refused`, async () =>
    KernelNbd.use(async (host) => {
      const initiator = host.launch('i', undefined, launcher);
      assert.notEqual(await initiator.end(), 0);
      assert.match(initiator.log.join(' '), said);
    }),
  );
}

kernelCase('the driver is loaded by an initiator that misses it, and looks for no partitions', async () =>
  KernelNbd.use(async (host) => {
    execFileSync('modprobe', ['--remove', 'nbd']);
    await host.start();
    assert.equal(readFileSync('/sys/module/nbd/parameters/max_part', 'utf8').trim(), '0');
  }),
);

kernelCase('backend nbd in a network namespace works, or is refused with the reason', async (context) =>
  KernelNbd.use(async (host) => {
    const initiator = host.launch('i', undefined, ['unshare', '--net']);
    await eventually('the initiator to start or to end', 20_000, () => {
      return !initiator.process.running || initiator.log.includes('the initiator runs');
    });
    const works = initiator.process.running;
    context.figure(`the NBD driver ${works ? 'is' : 'is not'} reached from other network namespaces`);
    if (!works) assert.match(initiator.log.join(' '), /only be reached from the network namespace of the host .*hostNetwork/);
  }),
);
