import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { runProgram } from '../support/faults-clients.ts';
import { DISK_BYTES, MIB, SAN } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';
import { startTarget } from '../support/target-process.ts';

/** The program `aoe-csi initiator` and the commands that talk to it, with volumes as NBD sockets. */

const needs = [root(), command('ip', 'iproute2'), command('vblade'), command('nbdcopy', 'libnbd-bin')];

function uriOf(socketPath: string): string {
  return `nbd+unix:///e10.3?socket=${socketPath}`;
}

async function states(initiator: InitiatorProcess): Promise<string[]> {
  return (await initiator.stat()).attachments.map(({ name, state }) => `${name} ${state}`);
}

describeIf(needs, 'aoe-csi attach and detach, nbd-socket', () => {
  test.each(['vblade', 'aoe-csi target'])(
    'what nbdcopy wrote comes back after detach and attach when %s serves it',
    async (kind) =>
      withInitiators(async ({ lab, initiate }) => {
        lab.wire(9000);
        if (kind === 'vblade') await lab.vblade('e10.3', lab.disk());
        else await startTarget(lab, `e10.3=${lab.disk()}`);
        const initiator = await initiate();
        const content = randomBytes(DISK_BYTES);
        writeFileSync(join(lab.folder, 'sent'), content);

        const socketPath = await initiator.must('attach', 'e10.3');
        expect((await runProgram('nbdinfo', '--size', uriOf(socketPath))).text.trim()).toBe(String(DISK_BYTES));
        expect((await runProgram('nbdcopy', '--flush', join(lab.folder, 'sent'), uriOf(socketPath))).text).toBe('');
        await initiator.must('detach', 'e10.3');
        expect(existsSync(socketPath)).toBe(false);

        expect(await initiator.must('attach', 'e10.3')).toBe(socketPath);
        expect((await runProgram('nbdcopy', uriOf(socketPath), join(lab.folder, 'received'))).text).toBe('');
        const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
        expect(hashOf(readFileSync(join(lab.folder, 'received')))).toBe(hashOf(content));
        expect(hashOf(readFileSync(join(lab.folder, 'disk')))).toBe(hashOf(content));
      }),
  );

  test('attach answers the same device again, and names the difference when it is asked for another volume', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const device = await initiator.must('attach', 'e10.3');
      expect(await initiator.run('attach', 'e10.3')).toEqual({ code: 0, out: device, err: 'e10.3 was attached already' });
      expect(await initiator.run('attach', 'e10.3', '--read-only', '--dead-seconds', '5', '--interfaces', SAN)).toEqual({
        code: 5,
        out: '',
        err:
          'aoe-csi: e10.3 is attached for reading and writing; with dead seconds 0, not 5; ' +
          `on all allowed interfaces, not interfaces ${SAN}; detach it first`,
      });
      expect(await initiator.run('detach', 'e10.3')).toMatchObject({ code: 0, err: 'e10.3 is detached' });
      expect(await initiator.run('detach', 'e10.3')).toMatchObject({ code: 0, err: 'e10.3 was not attached' });
    }));

  test('attach gives up when nobody answers, says what it waited for and leaves nothing behind', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const initiator = await initiate();
      const startedMs = Date.now();
      const { code, err } = await initiator.run('attach', 'e10.3', '--timeout', '2');
      expect(code).toBe(4);
      expect(Date.now() - startedMs).toBeLessThan(patiently(4_000));
      expect(err).toMatch(/attaching e10\.3, [12] s of 2: no target answers at this address on the allowed interfaces/);
      expect(err).toMatch(
        /e10\.3 could not be attached: no target answers .*; check that it is switched on .* as san0; given up after [12]\.\d s$/,
      );
      expect(await states(initiator)).toEqual([]);
    }));

  test.each(['SIGINT', 'SIGKILL'] as const)('an attach that waits is undone when its caller is ended by %s', async (signal) =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const initiator = await initiate();
      const caller = initiator.command('attach', 'e10.3');
      await eventually('the attach to begin', 5_000, async () => (await states(initiator)).includes('e10.3 attaching'));
      caller.signal(signal);
      await eventually('the attach to be undone', 3_000, async () => (await states(initiator)).length === 0);
    }),
  );

  test('an attach that waits is ended by a detach', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const initiator = await initiate();
      const attaching = initiator.run('attach', 'e10.3');
      await eventually('the attach to begin', 5_000, async () => (await states(initiator)).includes('e10.3 attaching'));
      expect(await initiator.run('detach', 'e10.3')).toMatchObject({ code: 0 });
      const { code, err } = await attaching;
      expect([code, err]).toEqual([5, expect.stringContaining('it was detached meanwhile')]);
      expect(await states(initiator)).toEqual([]);
    }));

  test('many attaches at once make one device', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const outcomes = await Promise.all(Array.from({ length: 5 }, async () => initiator.run('attach', 'e10.3')));
      expect(new Set(outcomes.map(({ code, out }) => `${String(code)} ${out}`)).size).toBe(1);
      expect(outcomes.filter(({ err }) => err === 'e10.3 was attached already')).toHaveLength(4);
      const ends = await Promise.all(Array.from({ length: 3 }, async () => initiator.run('detach', 'e10.3')));
      expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect(ends.filter(({ err }) => err === 'e10.3 is detached')).toHaveLength(1);
    }));

  test('detach leaves a socket alone that is in use, unless forced', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const socketPath = await initiator.must('attach', 'e10.3');
      const client = await NbdClient.open(socketPath, 'e10.3');
      const { code, err } = await initiator.run('detach', 'e10.3');
      expect(code).toBe(5);
      expect(err).toContain(`e10.3 is in use by an NBD connection to ${socketPath}; end that first, or use force`);
      expect((await client.write(0, randomBytes(4096))).error).toBe(0);
      expect((await initiator.run('detach', 'e10.3', '--force')).code).toBe(0);
      expect(await states(initiator)).toEqual([]);
    }));

  test('detach does not wait for a target that is gone when whoever asked for I/O is gone, too', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      const socketPath = await initiator.must('attach', 'e10.3');
      const client = await NbdClient.open(socketPath, 'e10.3');
      expect((await client.write(0, randomBytes(4096))).error).toBe(0);
      await vblade.end('SIGKILL');
      const held = client.write(0, randomBytes(MIB));
      await sleep(500);
      client.socket.destroy();
      await held.catch(() => undefined);
      // Only for copies of the write that may still be on their way: seconds.
      expect(await initiator.run('detach', 'e10.3')).toMatchObject({
        code: 0,
        err: expect.stringMatching(/e10\.3 is detached$/) as unknown,
      });
      expect(await states(initiator)).toEqual([]);
    }));
});
