import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { KeyedLock } from '../../src/volumes/keyed-lock.ts';

const NEVER = new AbortController().signal;

/** Work that ends when it is told to. */
function slowWork(): { work: () => Promise<string>; end: (result: string) => void; fail: (error: Error) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return { work: async () => promise, end: resolve, fail: reject };
}

test('run() refuses with aborted, naming the thing, when an operation on it is under way', async () => {
  const lock = new KeyedLock();
  const { work, end } = slowWork();
  const first = lock.run('volume e10.3', work);
  await expect(lock.run('volume e10.3', async () => Promise.resolve('second'))).rejects.toMatchObject({
    name: 'VolumeError',
    code: 'aborted',
    message: 'an operation on volume e10.3 is under way; call again when it has ended',
  });
  await expect(lock.run('volume e10.4', async () => Promise.resolve('other'))).resolves.toBe('other');
  end('first');
  await expect(first).resolves.toBe('first');
  await expect(lock.run('volume e10.3', async () => Promise.resolve('third'))).resolves.toBe('third');
});

test('run() frees the thing when work fails or throws at once', async () => {
  const lock = new KeyedLock();
  const failing = [async () => Promise.reject(new Error('failed')), () => thrower()];
  for (const work of failing) await expect(lock.run('x', work)).rejects.toThrow('failed');
  expect(lock.isHeld('x')).toBe(false);
});

function thrower(): Promise<void> {
  throw new Error('failed');
}

test('run() refuses all but one of a hundred at once, however often they come', async () => {
  const lock = new KeyedLock();
  for (let round = 0; round < 10; round++) {
    let running = 0;
    let most = 0;
    const calls = Array.from({ length: 100 }, async () =>
      lock.run('x', async () => {
        most = Math.max(most, ++running);
        await delay(1);
        running--;
      }),
    );
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(most).toBe(1);
  }
});

test('runWhenFree() waits its turn, and never two at a time', async () => {
  const lock = new KeyedLock();
  const events: string[] = [];
  const work = (name: string) => async () => {
    events.push(`+${name}`);
    await delay(1);
    events.push(`-${name}`);
  };
  await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => lock.runWhenFree('x', NEVER, work(name))));
  expect(events).toHaveLength(8);
  for (let at = 0; at < 8; at += 2) expect(events[at + 1]).toBe(events[at].replace('+', '-'));
});

test('runWhenFree() gives up at its deadline, and its work does not run then or later', async () => {
  const lock = new KeyedLock();
  const { work, end } = slowWork();
  const first = lock.run('target e10.3', work);
  let hasRun = false;
  const late = lock.runWhenFree('target e10.3', AbortSignal.timeout(20), async () => Promise.resolve((hasRun = true)));
  await expect(late).rejects.toMatchObject({
    code: 'aborted',
    message: 'gave up waiting for another operation on target e10.3: the deadline has passed; try again later',
  });
  end('done');
  await first;
  await delay(5);
  expect(hasRun).toBe(false);
});

test('runWhenFree() does not run when the signal was aborted before, even if nothing is under way', async () => {
  const lock = new KeyedLock();
  const signal = AbortSignal.abort(new Error('shutting down'));
  await expect(lock.runWhenFree('x', signal, async () => Promise.resolve(1))).rejects.toThrow(/shutting down/);
});

test('runWhenFree() leaves nothing behind on the signal when it waited', async () => {
  const lock = new KeyedLock();
  const { signal } = new AbortController();
  const before = process.listenerCount('warning');
  const warnings: Error[] = [];
  const listener = (warning: Error) => void warnings.push(warning);
  process.on('warning', listener);
  for (let round = 0; round < 30; round++) {
    await Promise.all([lock.run('x', async () => delay(0)), lock.runWhenFree('x', signal, async () => Promise.resolve())]);
  }
  process.off('warning', listener);
  expect(warnings).toEqual([]);
  expect(process.listenerCount('warning')).toBe(before);
});
