import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { StoreLock } from '../../src/embedded/store-lock.ts';
import { lockExclusively } from '../../src/system/file-io.ts';
import { patiently } from '../support/patience.ts';

const directory = mkdtempSync(join(tmpdir(), 'aoe-csi-lock-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'lock');

/** Two locks on one file are strangers to each other, as two processes are. */
const locks = [new StoreLock(path), new StoreLock(path)];

test('run() lets one work at a time, within a lock in the order of asking', async () => {
  let running = 0;
  const order: number[] = [];
  const work = async (index: number) => {
    expect(++running).toBe(1);
    await delay(Math.random() * 2);
    running--;
    order.push(index);
  };
  await Promise.all(Array.from({ length: 40 }, async (_, index) => locks[index % 2].run(async () => work(index))));
  expect(order.filter((index) => index % 2 === 0)).toEqual(Array.from({ length: 20 }, (_, index) => 2 * index));
  expect(order.filter((index) => index % 2 === 1)).toEqual(Array.from({ length: 20 }, (_, index) => 2 * index + 1));
});

test('run() gives its result or its error on, and the lock back either way', async () => {
  await expect(locks[0].run(async () => Promise.resolve(7))).resolves.toBe(7);
  await expect(locks[0].run(async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(locks[1].run(async () => Promise.resolve(8))).resolves.toBe(8);
});

test('run() lets others have their turn when one never stops asking', async () => {
  let isDone = false;
  let taken = 0;
  const greedy = (async () => {
    while (!isDone) {
      await locks[0].run(async () => delay(1));
      taken++;
    }
  })();
  await delay(50);
  const startMs = performance.now();
  for (let turn = 0; turn < 3; turn++) await locks[1].run(async () => Promise.resolve());
  const waitedMs = performance.now() - startMs;
  isDone = true;
  await greedy;
  expect(waitedMs).toBeLessThan(patiently(2_000));
  expect(taken).toBeGreaterThan(0);
});

test('run() gives up with the lock’s path when another holds it for too long, and works when it is free', async () => {
  const holder = openSync(path, 'a');
  expect(lockExclusively(holder)).toBe(0);
  const impatient = new StoreLock(path, 100);
  let hasRun = false;
  await expect(impatient.run(async () => Promise.resolve((hasRun = true)))).rejects.toMatchObject({
    code: 'unavailable',
    message: `cannot write to the store: another process has held ${path} for 0.1 s; find it with \`fuser ${path}\` and end it if it is stuck`,
  });
  expect(hasRun).toBe(false);
  closeSync(holder);
  await expect(impatient.run(async () => Promise.resolve(1))).resolves.toBe(1);
});

test('run() says what is wrong when the lock’s file can’t be made', async () => {
  await expect(new StoreLock(join(directory, 'nowhere', 'lock')).run(async () => Promise.resolve())).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('ENOENT'),
  });
});

test('idle() waits for all that was asked for', async () => {
  let done = 0;
  for (let index = 0; index < 5; index++) void locks[0].run(async () => Promise.resolve(done++));
  await locks[0].idle();
  expect(done).toBe(5);
});
