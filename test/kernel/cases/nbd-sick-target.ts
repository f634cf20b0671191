import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, within } from '../../support/faults-process.ts';
import { attributeOf, kill, KernelNbd, runUnhurried } from '../../support/kernel-nbd.ts';
import { kernelCase } from '../guest/cases.ts';

/**
 * Targets that answer to their address, say what they are and read their first sector, and then hang. What is set of a device's queue
 * waits for such a read, and nothing else may.
 */

const HANGS_FROM_LBA = 65_536;
const SECTOR_BYTES = 512;
/** By then the initiator has given up to wait for what is stuck. */
const STUCK_MS = 20_000;
const ANSWER_MS = 5_000;
/** Who reads a new device may come too late to be in the way: on a busy machine each time. The case after that one depends on nobody. */
const TRIES_MAX = 3;

kernelCase(
  'an attach whose new device is read by somebody in vain ends, and all other volumes go on meanwhile',
  async ({ figure }) =>
    KernelNbd.use(async (host) => {
      await host.lab.fakeTarget({ slot: 3, hangsFromLba: HANGS_FROM_LBA });
      await host.lab.vblade('e10.4', host.lab.disk());
      await host.start();
      let answer = '';
      for (let tries = 1; ; tries++) {
        const started = performance.now();
        answer = await attachWhileRead(host);
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        figure(`the attach was answered after ${seconds} s: ${answer}`);
        if (!answer.startsWith('/dev/')) break;
        if (tries < TRIES_MAX) continue;
        figure('the device was always set before it was read: that a stuck attach ends was not seen');
        break;
      }
      if (!answer.startsWith('/dev/')) assert.match(answer, /has not returned from writing/);
      assert.doesNotMatch(execFileSync('ps', ['-eo', 'stat,args'], { encoding: 'utf8' }), /^D.* sh /m);
      await host.detach('e10.4');
      await kill(host.initiator, 'SIGKILL');
    }),
  240_000,
);

/** @returns the error of the attach, or its device, when that was set before the read came; either way it is gone again */
async function attachWhileRead(host: KernelNbd): Promise<string> {
  const offset = String(HANGS_FROM_LBA * SECTOR_BYTES);
  const reader = host.lab.script('kernel-first-read', host.lab.initiator, ['e10.3', offset]);
  await eventually('the reader to look', 20_000, () => reader.lines.length > 0);
  const attaching = host.attach('e10.3').catch((error: Error) => error.message);
  await eventually('the read to hang', 20_000, async () => ((await host.attachment('e10.3'))?.requestsInFlight ?? 0) > 0);
  await sleep(STUCK_MS / 2);
  await within('a list', ANSWER_MS, host.attachments());
  const other = await within('an attach', STUCK_MS, host.attach('e10.4'));
  assert.equal(await runUnhurried('dd', `if=${other}`, 'of=/dev/null', 'bs=1M', 'count=8', 'iflag=direct'), 0);
  const answer = await within('the attach', STUCK_MS, attaching);

  await within('force', STUCK_MS, host.detach('e10.3', true));
  assert.deepEqual(
    (await host.attachments()).map(({ name }) => name),
    ['e10.4'],
  );
  await eventually('the read to fail', 20_000, () => reader.lines.includes('EIO'));
  return answer;
}

kernelCase(
  'an initiator that sets a device in vain can be killed, and the next one connects the device and sets it when it can',
  async () =>
    KernelNbd.use(async (host) => {
      const target = await host.lab.fakeTarget({ slot: 3 });
      await host.start();
      const device = await host.attach('e10.3');
      await kill(host.initiator, 'SIGKILL');
      // As if it had been killed before it had set the device.
      writeFileSync(join('/sys/block', basename(device), 'queue/scheduler'), 'mq-deadline');
      await target.set({ hangsFromLba: HANGS_FROM_LBA });
      const reading = runUnhurried(
        'dd',
        `if=${device}`,
        'of=/dev/null',
        'bs=4k',
        `skip=${String(HANGS_FROM_LBA / 8)}`,
        'count=1',
      );

      const stuck = await host.start();
      await stuck.logged(new RegExp(`${device} of e10\\.3 works, but .*scheduler could not be set`));
      await within('a list', ANSWER_MS, host.attachments());
      await kill(stuck, 'SIGKILL');

      const last = await host.start();
      await last.logged(new RegExp(`${device} of e10\\.3 is connected again`));
      await target.set({ hangsFromLba: Number.MAX_SAFE_INTEGER });
      assert.equal(await within('the read', 60_000, reading), 0);
      const set = (): unknown[] => ['queue/io_timeout', 'queue/scheduler'].map((name) => attributeOf(device, name));
      await eventually('the device to be set', 20_000, () => String(set()) === '1000,[none] mq-deadline');
      await host.detach('e10.3');
    }),
  120_000,
);
