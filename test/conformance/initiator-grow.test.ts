import { truncateSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { DISK_BYTES, MIB } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators } from '../support/initiator-process.ts';
import { command, describeIf, root } from '../support/requires.ts';
import { startTarget } from '../support/target-process.ts';

/** Whether a target has grown is asked when somebody wants to know; by itself it is asked twice a minute. */

const needs = [root(), command('ip', 'iproute2')];
const DOWN_MS = 20_000;

describeIf(needs, 'aoe-csi grow', () => {
  test('asks the target, and says what it has and what the device has', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const disk = lab.disk();
      const target = await startTarget(lab, `e10.3=${disk}`);
      const initiator = await initiate();
      expect(await initiator.run('grow', 'e10.3')).toMatchObject({ code: 1, err: expect.stringContaining('is not attached') });
      const device = await initiator.must('attach', 'e10.3');
      expect(await initiator.run('grow', 'e10.3')).toEqual({
        code: 0,
        out: device,
        err: `the target e10.3 has ${String(DISK_BYTES)} bytes, and ${device} has all of them`,
      });

      truncateSync(disk, DISK_BYTES + 32 * MIB);
      const { code, err } = await initiator.run('grow', 'e10.3');
      expect([code, err]).toEqual([
        1,
        `aoe-csi: e10.3 has grown to ${String(DISK_BYTES + 32 * MIB)} bytes, but devices of backend nbd-socket can't grow while they ` +
          'are attached; detach it and attach it again',
      ]);

      await target.end('SIGKILL');
      await eventually('the silence to be noticed', DOWN_MS, async () => {
        return (await initiator.run('grow', 'e10.3')).err.includes("e10.3 can't be asked for its size: it is down: ");
      });
    }));
});
