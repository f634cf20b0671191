import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { GenericNetlinkSocket } from '../../../src/system/generic-netlink-socket.ts';
import { NBD_ATTR_BACKEND_IDENTIFIER } from '../../../src/system/nbd-netlink-constants.ts';
import { NBD_FAMILY } from '../../../src/system/nbd-netlink-codec.ts';
import { kernelCase } from '../guest/cases.ts';

/** What everything else here is built on. A kernel where one of these is not so wants another backend, or another guest. */

kernelCase('the kernel is the one that was asked for, with modules of its own', ({ figure }) => {
  assert.match(release(), /^6\.(1|12)\./);
  assert.ok(existsSync(`/lib/modules/${release()}/modules.dep`));
  figure(`${execFileSync('nproc', { encoding: 'utf8' }).trim()} processors, ${memoryMib()} MiB of memory`);
});

kernelCase('what is written stays in the guest', () => {
  assert.match(readFileSync('/proc/mounts', 'utf8'), /^overlay \/ overlay /m);
});

kernelCase('modprobe nbd max_part=0 nbds_max=0 loads the driver without a device', () => {
  // What ran before in this guest may have loaded it in another way.
  if (existsSync('/sys/module/nbd')) execFileSync('rmmod', ['nbd']);
  execFileSync('modprobe', ['nbd', 'max_part=0', 'nbds_max=0']);
  assert.equal(readFileSync('/sys/module/nbd/parameters/max_part', 'utf8').trim(), '0');
  assert.deepEqual(
    readdirSync('/sys/block').filter((name) => name.startsWith('nbd')),
    [],
  );
});

kernelCase('the netlink family nbd can be found, and knows identifiers of backends', () => {
  const socket = GenericNetlinkSocket.open();
  const family = socket.family(NBD_FAMILY);
  socket.close();
  assert.ok(family !== undefined, 'there is no family nbd');
  assert.ok(family.attributesMax >= NBD_ATTR_BACKEND_IDENTIFIER, `maxattr is ${String(family.attributesMax)}`);
});

kernelCase('modprobe aoe loads the kernel’s own initiator', () => {
  execFileSync('modprobe', ['aoe']);
  assert.ok(existsSync('/dev/etherd/discover'));
  execFileSync('rmmod', ['aoe']);
});

function memoryMib(): number {
  return Math.round(Number(/^MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) / 1024);
}
