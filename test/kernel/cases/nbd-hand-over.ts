import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { eventually } from '../../support/faults-process.ts';
import type { InitiatorProcess } from '../../support/initiator-process.ts';
import { kill } from '../../support/kernel-nbd.ts';
import { progress, withWriter } from '../../support/kernel-writer.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/** Devices go from one initiator to another while they are written to, and nobody sees it; or else it is as after a crash. */

const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
const ROUNDS = IS_SOAK ? 20 : 2;

/** Milliseconds that the devices stood still, as the new initiator tells it. */
function stillMs(initiator: InitiatorProcess): number {
  const line = initiator.log.find((each) => each.startsWith('took over from')) ?? '';
  return Number(/for (\d+) ms$/.exec(line)?.[1]);
}

/** How often the kernel has seen a socket of its NBD devices end, or come. That requests take long it says, too: this guest is slow. */
function socketsSeen(): string[] {
  const words = /nbd\d+: .*(failed|dead|disconnect|shut|reconnect|timed out)/i;
  return execFileSync('dmesg', { encoding: 'utf8' })
    .split('\n')
    .filter((line) => words.test(line));
}

kernelCase(
  'an initiator replaces another one under a writer, who sees no error and hardly a pause; the kernel sees nothing',
  async ({ figure }: CaseContext) =>
    withWriter(async (host, device) => {
      const before = socketsSeen().length;
      const pauses: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await progress(host);
        const old = host.initiator;
        const next = await host.replace();
        await eventually('the old one to end', 20_000, () => !old.process.running);
        assert.equal(await old.end(), 0);
        assert.equal(old.log.at(-1), 'stopped');
        pauses.push(stillMs(next));
        await progress(host);
        assert.equal((await host.attachment('e10.3'))?.device, device);
      }
      figure(`${String(ROUNDS)} planned restarts: devices stood still for ${pauses.map(String).join(', ')} ms`);
      assert.deepEqual(socketsSeen().slice(before), []);
    }),
  120_000,
);

kernelCase(
  'what runs is left alone by one that could not go on with it; one that has handed over stands by',
  async () =>
    withWriter(async (host) => {
      const first = host.initiator;
      const blind = host.launchReplacement([], ['--interfaces', 'none0', '--attach', 'nbd']);
      await blind.logged(/e10\.3 works here, and could not be used by the other initiator/);
      await kill(blind, 'SIGTERM');
      await progress(host);
      assert.ok(first.process.running);

      const second = await host.replace(['--stand-by']);
      await eventually('the first one to end', 20_000, () => !first.process.running);
      const third = await host.replace();
      await second.logged(/^stands by/);
      await progress(host);
      await kill(third, 'SIGKILL');
      await eventually(
        'the second one to run again',
        30_000,
        () => second.log.filter((line) => line === 'the initiator runs').length === 2,
      );
      await host.becomes(second);
      await host.connected('e10.3');
      await progress(host);
    }),
  120_000,
);

kernelCase(
  'an idle device whose target is away keeps no initiator from being replaced, and works when that is back',
  async () =>
    withWriter(async (host) => {
      const disk = host.lab.disk('idle');
      const target = await host.lab.vblade('e10.4', disk);
      const idle = await host.attach('e10.4');
      await target.end('SIGKILL');
      await eventually('it to be down', 60_000, async () => (await host.attachment('e10.4'))?.state === 'down');
      const old = host.initiator;
      const next = await host.replace();
      assert.ok(stillMs(next) >= 0, 'it has not taken over');
      await eventually('the old one to end', 20_000, () => !old.process.running);
      await progress(host);
      await host.lab.vblade('e10.4', disk);
      await host.connected('e10.4');
      assert.equal((await host.attachment('e10.4'))?.device, idle);
      execFileSync('dd', ['if=/dev/zero', `of=${idle}`, 'bs=4096', 'count=1', 'oflag=direct', 'status=none']);
      await host.detach('e10.4');
    }),
  120_000,
);
