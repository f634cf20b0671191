import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { CONTROL_PROTO, CONTROL_SERVICE } from '../../src/initiator/control-messages.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { loadService } from '../../src/rpc/service.ts';
import { SAN } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { command, describeIf, root } from '../support/requires.ts';

/**
 * One initiator goes on where another one stops. Here without devices, which need the kernel's NBD driver: see
 * test/kernel/cases/nbd-hand-over.ts for those.
 */

const BY_SOCKET = ['--interfaces', SAN, '--attach', 'nbd-socket'];
const CALL_MS = 20_000;

async function askForAll(running: InitiatorProcess, protocol: number, protocolMin: number): Promise<unknown> {
  const client = new RpcClient(loadService(CONTROL_PROTO, CONTROL_SERVICE), running.socketPath);
  const socketPath = join(running.socketPath, '../nobody.sock');
  try {
    return await client.call('HandOver', { protocol, protocolMin, socketPath, known: [], ready: [] }, { timeoutMs: CALL_MS });
  } finally {
    client.close();
  }
}

describeIf([root(), command('ip', 'iproute2'), command('vblade')], 'initiators that replace each other', () => {
  test('--replace takes over from the one that runs, which ends; where none runs it just starts', async () =>
    withInitiators(async ({ lab, launch }) => {
      lab.wire();
      const first = await launch('i', [...BY_SOCKET, '--replace']).ready();
      const second = await launch('i', [...BY_SOCKET, '--replace']).ready();
      expect(await first.end()).toBe(0);
      expect(first.log.slice(-2)).toEqual(['the devices have been handed over to another initiator', 'stopped']);
      await second.logged(/^took over from the initiator that ran before; its devices stood still for \d+ ms$/);
      // It has the control socket, and the lock.
      const { pid } = await second.json<{ pid: number }>('stat', '--counters');
      expect(pid).toBe(second.process.child.pid);
      const third = launch('i', BY_SOCKET);
      expect(await third.end()).toBe(1);
      await second.process.end();
      expect(await second.end()).toBe(0);
      expect(second.log.at(-1)).toBe('stopped');
      await (await launch('i', BY_SOCKET).ready()).process.end();
    }));

  test('with --stand-by the one that was replaced waits, and takes over again when the other one has ended', async () =>
    withInitiators(async ({ lab, launch }) => {
      lab.wire();
      const readyFile = (name: string): string => join(lab.folder, `ready-${name}`);
      const isReady = (name: string): boolean => existsSync(readyFile(name));
      const first = await launch('i', [...BY_SOCKET, '--stand-by', '--ready-file', readyFile('first')]).ready();
      await eventually('the first one to be ready', 10_000, () => isReady('first'));
      const second = await launch('i', [...BY_SOCKET, '--replace', '--stand-by', '--ready-file', readyFile('second')]).ready();
      await first.logged(/^stands by/);
      expect(isReady('first')).toBe(false);
      await eventually('the second one to be ready', 10_000, () => isReady('second'));
      await second.process.end('SIGKILL');
      await eventually('the first one to run again', 10_000, () => {
        return first.log.filter((line) => line === 'the initiator runs').length === 2;
      });
      await eventually('it to be ready again', 10_000, () => isReady('first'));
      expect((await first.stat()).attachments).toEqual([]);
      // One that only stands by ends at once.
      const third = await launch('i', [...BY_SOCKET, '--replace']).ready();
      await eventually('the first one to stand by again', 10_000, () => {
        return first.log.filter((line) => line.startsWith('stands by')).length === 2;
      });
      await first.process.end();
      expect(await first.end()).toBe(0);
      expect((await third.stat()).attachments).toEqual([]);
    }));

  test('one whose devices end with it is not replaced, and goes on; the other one takes its turn when it has ended', async () =>
    withInitiators(async ({ lab, initiate, launch }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const first = await initiate();
      const device = await first.must('attach', 'e10.3');
      const second = launch('i', [...BY_SOCKET, '--replace']);
      await second.logged(
        /has not handed its devices over: e10\.3 is attached by nbd-socket, which ends with its initiator; detach it/,
      );
      expect(await first.must('attach', 'e10.3')).toBe(device);
      await first.process.end();
      await second.ready();
      expect(await second.must('attach', 'e10.3')).toBe(device);
    }));

  test('HandOver() refuses another protocol, and one that does not listen; the initiator goes on', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const running = await initiate();
      await expect(askForAll(running, 9, 9)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/hands over by protocol 1 to 1, the other one by 9 to 9; end this one/),
      });
      // One that is newer, and understands this one's, too.
      await expect(askForAll(running, 9, 1)).rejects.toMatchObject({
        code: 'ABORTED',
        message: expect.stringMatching(/could not take the devices over: cannot connect to unix socket .*nobody\.sock/),
      });
      expect(await running.must('attach', 'e10.3')).toMatch(/e10\.3\.sock$/);
    }));
});
