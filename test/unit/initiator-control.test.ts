import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { Backends } from '../../src/initiator/attach/choice.ts';
import { DeviceError, type AttachBackend } from '../../src/initiator/attach/backend.ts';
import { DefaultBackend } from '../../src/initiator/attach/default-backend.ts';
import { differences } from '../../src/initiator/attach/parameters.ts';
import { EventLog } from '../../src/initiator/event-log.ts';
import { rpcErrorOf } from '../../src/initiator/failures.ts';
import { KeyedQueue } from '../../src/initiator/keyed-queue.ts';
import type { AttachRequest } from '../../src/initiator/messages.ts';
import { RunDirectory } from '../../src/initiator/run-directory.ts';
import { RpcError } from '../../src/rpc/status.ts';
import { ProgramError } from '../../src/system/programs.ts';

/** The small parts of the initiator's control side. */

const never = new AbortController().signal;

describe('KeyedQueue', () => {
  test('run() does one thing after the other for one key, also when one fails', async () => {
    const queue = new KeyedQueue();
    const order: string[] = [];
    const work = (name: string, fails: boolean) => async (): Promise<string> => {
      order.push(`${name} begins`);
      await sleep(5);
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
    const outcomes = await Promise.allSettled([
      queue.run('e10.3', never, work('first', false)),
      queue.run('e10.3', never, work('second', true)),
      queue.run('e10.3', never, work('third', false)),
    ]);
    expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends', 'third begins', 'third ends']);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  test('run() does not let one key wait for another', async () => {
    const queue = new KeyedQueue();
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = queue.run('e10.3', never, async () => promise);
    expect(await queue.run('e10.4', never, async () => Promise.resolve('done'))).toBe('done');
    resolve();
    await held;
  });

  test('run() gives up waiting when its signal is aborted, and the next one still waits for the first', async () => {
    const queue = new KeyedQueue();
    const { promise, resolve } = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = queue.run('e10.3', never, async () => promise.then(() => void order.push('first')));
    const abort = new AbortController();
    const second = queue.run('e10.3', abort.signal, async () => Promise.resolve(void order.push('second')));
    const third = queue.run('e10.3', never, async () => Promise.resolve(void order.push('third')));
    abort.abort(new RpcError('DEADLINE_EXCEEDED', 'too late'));
    await expect(second).rejects.toThrow('too late');
    resolve();
    await Promise.all([first, third]);
    expect(order).toEqual(['first', 'third']);
  });

  test('run() lets nobody in beside the first when the last in line has given up', async () => {
    const queue = new KeyedQueue();
    const { promise, resolve } = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = queue.run('e10.3', never, async () => promise.then(() => void order.push('first')));
    const second = queue.run('e10.3', AbortSignal.abort(new Error('too late')), async () => Promise.resolve());
    await expect(second).rejects.toThrow('too late');
    const third = queue.run('e10.3', never, async () => Promise.resolve(void order.push('third')));
    await sleep(5);
    resolve();
    await Promise.all([first, third]);
    expect(order).toEqual(['first', 'third']);
  });
});

describe('EventLog', () => {
  async function textsOf(log: EventLog, follow = false, signal = never): Promise<string[]> {
    const texts: string[] = [];
    for await (const { text } of log.read(follow, signal)) texts.push(text);
    return texts;
  }

  test('read() yields the latest 256 events, oldest first', async () => {
    const log = new EventLog();
    for (let number = 1; number <= 300; number++) log.add('path', 'e10.3', String(number));
    const texts = await textsOf(log);
    expect([texts.length, texts[0], texts.at(-1)]).toEqual([256, '45', '300']);
  });

  test('read() goes on with new events until it is aborted', async () => {
    const log = new EventLog();
    log.add('path', '', 'before');
    const abort = new AbortController();
    const reading = textsOf(log, true, abort.signal);
    await sleep(5);
    log.add('path', '', 'after');
    await sleep(5);
    abort.abort();
    expect(await reading).toEqual(['before', 'after']);
  });

  test('read() tells a slow reader how many events were left out', async () => {
    const log = new EventLog();
    const reader = log.read(true, never)[Symbol.asyncIterator]();
    const first = reader.next();
    await sleep(1);
    for (let number = 0; number < 1_000; number++) log.add('path', '', String(number));
    expect((await first).value).toMatchObject({ text: '0' });
    for (let number = 1; number < 256; number++) await reader.next();
    expect((await reader.next()).value).toMatchObject({
      kind: 'limit',
      text: expect.stringMatching(/^744 events were left out/),
    });
  });

  test('close() ends those who follow', async () => {
    const log = new EventLog();
    const reading = textsOf(log, true);
    await sleep(5);
    log.add('path', '', 'last');
    log.close();
    expect(await reading).toEqual(['last']);
  });
});

function backend(name: 'fuse' | 'nbd-socket', obstacle?: string): AttachBackend {
  const fail = async (): Promise<never> => Promise.reject(new Error('not to be called'));
  const unavailable = async (): Promise<string | undefined> => Promise.resolve(obstacle);
  return { name, unavailable, attach: fail, detach: fail, removeLeftovers: fail };
}

describe('Backends.choose()', () => {
  test('takes the first that can be used, and says why not an earlier one, when auto is asked for', async () => {
    const backends = new Backends([backend('fuse', '/dev/fuse is missing'), backend('nbd-socket')]);
    const { backend: chosen, note } = await backends.choose('auto');
    expect([chosen.name, note]).toEqual([
      'nbd-socket',
      "attach backend nbd-socket was chosen; fuse can't be used: /dev/fuse is missing",
    ]);
    const all = new Backends([backend('fuse'), backend('nbd-socket')]);
    expect((await all.choose('auto')).note).toBe('attach backend fuse was chosen');
  });

  test('takes a better one when that has become usable, and no lesser one after that', async () => {
    let obstacle: string | undefined = 'there is no module';
    const better = { ...backend('fuse'), unavailable: async () => Promise.resolve(obstacle) };
    const backends = new Backends([better, backend('nbd-socket')]);
    expect((await backends.choose('auto')).backend.name).toBe('nbd-socket');
    obstacle = undefined;
    expect((await backends.choose('auto')).backend.name).toBe('fuse');
    obstacle = 'the driver does not return';
    await expect(backends.choose('auto')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/fuse can't be used: the driver does not return; .* no lesser backend/),
    });
    expect((await backends.choose('nbd-socket')).backend.name).toBe('nbd-socket');
  });

  test('refuses the one that is named, when it cannot be used', async () => {
    const backends = new Backends([backend('fuse', '/dev/fuse is missing; load it'), backend('nbd-socket')]);
    await expect(backends.choose('fuse')).rejects.toThrow("backend fuse can't be used: /dev/fuse is missing; load it");
    expect(await backends.choose('nbd-socket')).toMatchObject({ note: '' });
  });
});

describe('DefaultBackend', () => {
  test('report() looks again until there is one that makes devices', async () => {
    let obstacle: string | undefined = '/dev/fuse is missing';
    let looks = 0;
    const unavailable = async (): Promise<string | undefined> => {
      looks += 1;
      return Promise.resolve(obstacle);
    };
    const fuse = { ...backend('fuse'), unavailable };
    const auto = new DefaultBackend(new Backends([fuse, backend('nbd-socket')]), 'auto');
    const named = new DefaultBackend(new Backends([fuse]), 'fuse');
    expect(await auto.report()).toEqual({
      backend: 'nbd-socket',
      backendNote: "attach backend nbd-socket was chosen; fuse can't be used: /dev/fuse is missing",
    });
    expect(await named.report()).toEqual({ backend: '', backendNote: "backend fuse can't be used: /dev/fuse is missing" });
    obstacle = undefined;
    expect(await auto.report()).toEqual({ backend: 'fuse', backendNote: 'attach backend fuse was chosen' });
    expect(await named.report()).toEqual({ backend: 'fuse', backendNote: '' });
    const before = looks;
    await auto.report();
    await named.report();
    expect(looks).toBe(before);
  });
});

describe('differences', () => {
  const request: AttachRequest = {
    ...{ shelf: 10, slot: 3, socketPath: '/run/x', readOnly: false, deadSeconds: 0, maxOutstanding: 128 },
    interfaces: undefined,
  };

  test('is empty for equal requests, whatever the order of interfaces', () => {
    expect(differences(request, { ...request })).toEqual([]);
    expect(differences({ ...request, interfaces: ['a', 'b'] }, { ...request, interfaces: ['b', 'a'] })).toEqual([]);
  });

  test('names each parameter that is not the same', () => {
    const other = { ...request, readOnly: true, deadSeconds: 3, maxOutstanding: 1, interfaces: ['a'] };
    expect(differences(request, other)).toHaveLength(4);
  });
});

describe('rpcErrorOf', () => {
  test.each([
    [new DeviceError('busy', 'in use'), 'ABORTED'],
    [new DeviceError('refused', 'no'), 'FAILED_PRECONDITION'],
    [new ProgramError('losetup failed'), 'UNAVAILABLE'],
    [new RpcError('NOT_FOUND', 'gone'), 'NOT_FOUND'],
    [Object.assign(new Error('x'), { code: 'not-found' }), 'NOT_FOUND'],
    [Object.assign(new Error('x'), { code: 'toString' }), 'INTERNAL'],
    [new TypeError('ours'), 'INTERNAL'],
  ])('maps %s to %s', (error, code) => {
    expect(rpcErrorOf(error)).toMatchObject({ code, message: error.message });
  });
});

describe('RunDirectory', () => {
  test('refuses a folder that others may write to', () => {
    expect(() => new RunDirectory('/tmp')).toThrow('others may write to it; name a folder of its own with --run-directory');
  });

  test('refuses a path that leaves no room for sockets', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-run-'));
    expect(() => new RunDirectory(join(folder, 'x'.repeat(80)))).toThrow(/at most \d+ bytes; choose a shorter one/);
    expect(new RunDirectory(join(folder, 'r')).nbdSocket('e10.3')).toBe(join(folder, 'r/nbd/e10.3.sock'));
    rmSync(folder, { recursive: true });
  });
});
