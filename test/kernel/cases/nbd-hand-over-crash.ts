import assert from 'node:assert/strict';
import {
  GIVER_CRASH_POINTS,
  TAKER_CRASH_POINTS,
  type HandOverCrashPoint,
} from '../../../src/initiator/hand-over/crash-points.ts';
import { eventually } from '../../support/faults-process.ts';
import { kill } from '../../support/kernel-nbd.ts';
import { progress, withWriter } from '../../support/kernel-writer.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/** A hand-over that comes to nothing, or only half way, is as if it had not been, or as a crash. */

/** Each side on either side of the moment when the devices change hands; a soak visits all. */
const TELLING: readonly HandOverCrashPoint[] = ['give-sent-all', 'give-taken', 'take-received-some', 'take-taken'];
const ALL: readonly HandOverCrashPoint[] = [...GIVER_CRASH_POINTS, ...TAKER_CRASH_POINTS];
const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
const POINTS = IS_SOAK ? ALL : TELLING;

kernelCase(
  'one of two initiators is killed in the middle of a hand-over, at any step: the other one or the next one goes on',
  async ({ figure }: CaseContext) =>
    withWriter(async (host) => {
      const visited: HandOverCrashPoint[] = [];
      for (const point of POINTS) {
        const isGiver = (GIVER_CRASH_POINTS as readonly string[]).includes(point);
        const crash = ['env', `AOE_CSI_CRASH_AT=${point}`];
        if (isGiver) {
          await kill(host.initiator, 'SIGTERM');
          await host.start(undefined, crash);
          await host.connected('e10.3');
        }
        await progress(host);
        const old = host.initiator;
        const next = isGiver ? host.launchReplacement() : host.launchReplacement(crash);
        await eventually(`${point} to be reached`, 60_000, () => !(isGiver ? old : next).process.running);
        assert.equal(await (isGiver ? old : next).end(), 'SIGKILL', point);
        if (isGiver) await host.becomes(next);
        else if (['take-taken', 'take-thawed'].includes(point)) {
          // It had everything: the old one has ended as it should, and the next one takes up what is left.
          assert.equal(await old.end(), 0);
          await host.start();
        }
        await host.connected('e10.3');
        await progress(host);
        visited.push(point);
      }
      figure(`hand-over survived a kill at each of: ${visited.join(', ')}`);
    }),
  300_000,
);
