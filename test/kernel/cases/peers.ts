import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fioVerifyFor, runFio, runProgram } from '../../support/faults-clients.ts';
import { MIB } from '../../support/faults-laboratory.ts';
import { KernelAoe } from '../../support/kernel-aoe.ts';
import { KernelNbd } from '../../support/kernel-nbd.ts';
import { patiently } from '../../support/patience.ts';
import { kernelCase } from '../guest/cases.ts';

/** Ours in user space and the kernel's own initiator, in one guest, on one target: each reads what the other has written. */

const SECONDS = 3;
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
