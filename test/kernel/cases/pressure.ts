import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../support/faults-laboratory.ts';
import { eventually, TestProcess } from '../../support/faults-process.ts';
import { faultRow } from '../../support/kernel-faults.ts';
import { KernelAoe } from '../../support/kernel-aoe.ts';
import { attributeOf, BY_KERNEL, KernelNbd } from '../../support/kernel-nbd.ts';
import { MAKE_EXT4 } from '../../support/load-targets.ts';
import { MemoryGroup, withScarceMemory } from '../../support/scarce-memory.ts';
import { DurableWriter } from '../../support/durable-writer.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/**
 * The cache of files is full of what waits to be written, memory is short, and the writing needs a process that itself needs memory:
 * if that waited for the writing, nothing would ever go on.
 */

const LEFT_BYTES = 384 * MIB;
const WRITTEN_MIB = 600;
const DISK_BYTES = 700 * MIB;
/** What a container could be given that is told too little: docs/operations.md wants 300 MiB. */
const LIMIT_BYTES = 192 * MIB;
const FAULT = `${String(WRITTEN_MIB)} MiB written with ${String(LEFT_BYTES / MIB)} MiB of memory`;

/** Writes more than memory holds to a new file system, and makes all of it durable; the target has it in the end. */
async function flood(
  host: KernelNbd,
  { device, raw, subject }: { device: string; raw: string; subject: string },
  disturb: () => Promise<void>,
  figure: CaseContext['figure'],
): Promise<void> {
  const mountPoint = host.mountPoint('flooded');
  execFileSync('mount', [device, mountPoint]);
  const words = ['--name=flood', '--bs=1m', `--size=${String(WRITTEN_MIB)}m`, '--ioengine=psync', '--verify=crc32c'];
  const beside = await DurableWriter.open(raw, 1);
  beside.start();
  await withScarceMemory(LEFT_BYTES, async () => {
    const startedMs = performance.now();
    const file = [`--filename=${join(mountPoint, 'file')}`, '--fallocate=none'];
    const writing = new TestProcess(
      'fio',
      ['fio', '--rw=write', '--do_verify=0', '--end_fsync=1', ...words, ...file],
      host.lab.folder,
    );
    await disturb().catch(tellBlocked);
    await eventually('all to be written', 20_000, () => !writing.running).catch(tellBlocked);
    assert.equal(writing.child.exitCode, 0, writing.report);
    await beside.stop();
    figure(`${subject}: ${FAULT}, all durable after ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  });
  const { longestMs, error } = beside.report;
  const lost = [...(await beside.damage()), ...(await beside.damage(join(host.lab.folder, 'raw')))];
  await beside.close();
  execFileSync('umount', [mountPoint]);
  execFileSync('mount', ['-o', 'ro', device, mountPoint]);
  const checking = ['--rw=read', '--verify_fatal=1', ...words, `--filename=${join(mountPoint, 'file')}`];
  execFileSync('fio', checking, { stdio: 'pipe' });
  execFileSync('umount', [mountPoint]);
  figure(faultRow(subject, FAULT, longestMs, error === '' ? 0 : 1, lost.length));
  assert.deepEqual([error, lost], ['', []]);
}

/** Two targets: one for the flood, one for a writer beside it. */
async function withTargets(run: (host: KernelNbd) => Promise<void>): Promise<void> {
  await KernelNbd.use(async (host) => {
    const [disk, raw] = [host.lab.disk('disk', DISK_BYTES), host.lab.disk('raw')];
    execFileSync(MAKE_EXT4[0], [...MAKE_EXT4.slice(1), disk]);
    // What the target has in memory it has before memory is short; mkfs would give it back.
    execFileSync('fallocate', ['--length', String(DISK_BYTES), disk]);
    await host.lab.vblade('e10.1', raw);
    await host.lab.vblade('e10.2', disk);
    await run(host);
  });
}

kernelCase(
  'an initiator with little memory serves a flood of writes, and the one after it that was killed for its memory',
  async ({ figure }) => {
    await withTargets(async (host) => {
      const group = new MemoryGroup('aoe-csi-pressure');
      await host.start(BY_KERNEL, group.launcher);
      const [raw, device] = [await host.attach('e10.1'), await host.attach('e10.2')];
      group.limit(LIMIT_BYTES);
      figure(`the initiator has ${mib(group.usedBytes)} of memory, and may have ${mib(LIMIT_BYTES)}`);
      const disturb = async (): Promise<void> => {
        await eventually('a third of it to be written', 20_000, () => writtenMib(device) > WRITTEN_MIB / 3);
        group.limit(16 * MIB);
        await eventually('the kernel to end the initiator', 20_000, () => !host.initiator.process.running);
        assert.equal(group.killed, 1);
        figure(`the kernel has ended it at ${writtenMib(device).toFixed(0)} MiB`);
        group.limit(LIMIT_BYTES);
        await host.start(BY_KERNEL, group.launcher);
        figure(`the next one runs at ${writtenMib(device).toFixed(0)} MiB`);
      };
      await flood(host, { device, raw, subject: 'ours, nbd' }, disturb, figure);
      assert.equal(group.killed, 1, 'the next initiator was ended, too');
      await host.detach('e10.2');
      await host.detach('e10.1');
      await host.initiator.process.end();
      await group.close();
    });
  },
  180_000,
);

kernelCase(
  'what the kernel’s own initiator makes of the flood',
  async ({ figure }) => {
    await withTargets(async (host) => {
      await KernelAoe.use(async (peer) => {
        const [raw, device] = [await peer.attach('e10.1'), await peer.attach('e10.2')];
        await flood(host, { device, raw, subject: 'aoe.ko' }, async () => Promise.resolve(), figure);
      });
    });
  },
  180_000,
);

/** Shows on the console what waits for what, and how memory is used. */
function tellBlocked(error: unknown): never {
  for (const key of ['m', 'w']) writeFileSync('/proc/sysrq-trigger', key);
  throw error;
}

function mib(bytes: number): string {
  return `${String(Math.round(bytes / MIB))} MiB`;
}

/** What a device has taken; the seventh field of its statistics are written sectors. */
function writtenMib(device: string): number {
  const fields = (attributeOf(device, 'stat') ?? '').split(/\s+/);
  return (Number(fields[6]) * 512) / MIB;
}
