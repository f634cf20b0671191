import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fioVerifyFor, runFio, runProgram } from '../../support/faults-clients.ts';
import { MIB } from '../../support/faults-laboratory.ts';
import { fioSpeeds, WORKLOADS, type FioSpeed } from '../../support/fio-speed.ts';
import { KernelAoe } from '../../support/kernel-aoe.ts';
import { KernelNbd } from '../../support/kernel-nbd.ts';
import { patiently } from '../../support/patience.ts';
import { kernelCase } from '../guest/cases.ts';

/** Ours in user space and the kernel's own initiator, in one guest, on one target: each reads what the other has written. */

const SECONDS = 3;
const SPEED_SECONDS = 1;
const SPEED_ROUNDS = 2;
const BYTES = 4 * MIB;

kernelCase(
  'initiators of ours in user space and of the kernel’s own verify what they write, and read what the other wrote',
  async ({ figure }) =>
    KernelNbd.use(async (host) => {
      const { lab } = host;
      await lab.vblade('e10.3', lab.disk());
      const sent = Buffer.concat([randomBytes(BYTES), Buffer.alloc(60 * MIB)]);
      writeFileSync(join(lab.folder, 'sent'), sent);

      const initiator = await host.start(['--interfaces', 'san0', '--attach', 'nbd-socket']);
      const uri = `nbd+unix:///e10.3?socket=${await initiator.must('attach', 'e10.3')}`;
      const ours = await fioVerifyFor(SECONDS, uri, lab.folder, '--size=32m');
      assert.deepEqual([ours.error, ours.text], [0, '']);
      assert.equal((await runProgram('nbdcopy', '--flush', join(lab.folder, 'sent'), uri)).text, '');

      await KernelAoe.use(async (peer) => {
        const device = await peer.attach('e10.3');
        const read = execFileSync('dd', [`if=${device}`, 'bs=1M', 'iflag=direct', 'status=none'], { maxBuffer: 65 * MIB });
        assert.ok(read.equals(sent), 'the kernel reads something else than ours has written');
        const words = ['--ioengine=libaio', '--direct=1', `--filename=${device}`, '--time_based', `--runtime=${String(SECONDS)}`];
        const theirs = await runFio([...words, '--size=32m'], lab.folder, patiently(30_000));
        assert.deepEqual([theirs.error, theirs.text], [0, '']);
        figure(
          `fio, ${String(SECONDS)} s each, in user space: ${String(ours.writes)} writes; aoe.ko: ${String(theirs.writes)} writes`,
        );
        const back = randomBytes(BYTES);
        writeFileSync(join(lab.folder, 'back'), back);
        execFileSync('dd', [`if=${join(lab.folder, 'back')}`, `of=${device}`, 'bs=1M', 'oflag=direct', 'status=none']);
      });

      assert.equal((await runProgram('nbdcopy', uri, join(lab.folder, 'received'))).text, '');
      const received = readFileSync(join(lab.folder, 'received')).subarray(0, BYTES);
      assert.ok(received.equals(readFileSync(join(lab.folder, 'back'))), 'ours reads something else than the kernel has written');
      await initiator.must('detach', 'e10.3');
    }),
  120_000,
);

kernelCase(
  'how fast ours on the kernel’s NBD driver is, and the kernel’s own initiator',
  async ({ figure }) =>
    KernelNbd.use(async (host) => {
      await host.lab.vblade('e10.3', host.lab.disk());
      await host.start();
      const device = await host.attach('e10.3');
      await KernelAoe.use(async (peer) => {
        const subjects = [
          { path: device, rounds: [] as FioSpeed[][] },
          { path: await peer.attach('e10.3'), rounds: [] as FioSpeed[][] },
        ];
        for (let round = 0; round < SPEED_ROUNDS; round++) {
          for (const { path, rounds } of subjects) rounds.push(await fioSpeeds(path, SPEED_SECONDS, patiently(60_000)));
        }
        const [ours, theirs] = subjects.map(({ rounds }) => rounds);
        for (const [index, { name }] of WORKLOADS.entries()) figure(speedRow(name, best(ours, index), best(theirs, index)));
      });
      await host.detach('e10.3');
    }),
  120_000,
);

/** The round with the most throughput: what else the machine does only takes away from it. */
function best(rounds: readonly FioSpeed[][], workload: number): FioSpeed {
  const speeds = rounds.map((round) => round[workload]);
  return speeds.reduce((most, each) => (each.mibPerSecond > most.mibPerSecond ? each : most));
}

function speedRow(name: string, ours: FioSpeed, theirs: FioSpeed): string {
  const cells = [ours, theirs].map(({ mibPerSecond, operationsPerSecond, medianUs, p99Us }) => {
    const rate = name.includes('1m') ? `${mibPerSecond.toFixed(1)} MiB/s` : `${operationsPerSecond.toFixed(0)} IOPS`;
    return `${rate}, ${(medianUs / 1000).toFixed(1)} ms (p99 ${(p99Us / 1000).toFixed(1)} ms)`;
  });
  return `| ${[name, ...cells, (ours.mibPerSecond / theirs.mibPerSecond).toFixed(2)].join(' | ')} |`;
}
