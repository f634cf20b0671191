import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { NbdQueues } from '../../src/initiator/attach/nbd-queues.ts';
import { hasIoTimeout, tune } from '../../src/initiator/attach/nbd-tuning.ts';

/** Settings in a folder of the test's own. A FIFO in the place of one holds up who opens it, as a queue does that waits for a request. */

const LONG_MS = 60_000;
const SHORT_MS = 1_500;
const UNSET = {
  'queue/io_timeout': '30000',
  'queue/scheduler': '[mq-deadline] none',
  'queue/max_sectors_kb': '128',
  'queue/discard_max_hw_bytes': '4096',
  'queue/discard_max_bytes': '4096',
  'bdi/max_ratio': '100',
};
const TUNING = { ioTimeoutMs: 1_000, requestBytesMax: 1_048_576, discardBytesMax: 2_048, dirtyPercentMax: 30 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-queues-'));
  for (const index of [0, 1]) {
    for (const part of ['queue', 'bdi']) mkdirSync(join(folder, `nbd${index}`, part), { recursive: true });
    for (const [attribute, text] of Object.entries(UNSET)) writeFileSync(pathOf(index, attribute), `${text}\n`);
  }
});

afterEach(() => rmSync(folder, { recursive: true }));

function pathOf(index: number, attribute: string): string {
  return join(folder, `nbd${index}`, attribute);
}

function valueOf(index: number, attribute: string): string {
  return readFileSync(pathOf(index, attribute), 'utf8').trim();
}

/** From now on a setting of nbd0 holds up who reads or writes it; returns its path, where the test is the other end. */
function holdUp(attribute: string): string {
  const path = pathOf(0, attribute);
  rmSync(path);
  execFileSync('mkfifo', [path]);
  return path;
}

describe('NbdQueues', () => {
  test('read() and write() do what they are named for, and say what could not be done', async () => {
    const queues = new NbdQueues({ folder, patienceMs: LONG_MS });
    await queues.write(0, 'queue/scheduler', 'none');
    expect(await queues.read(0, ['queue/scheduler', 'queue/absent', 'bdi/max_ratio'])).toEqual(['none', '', '100']);
    expect(await queues.read(7, ['queue/scheduler'])).toEqual(['']);
    const failure = { code: 'unavailable', message: expect.stringContaining('nbd7/queue/scheduler') };
    await expect(queues.write(7, 'queue/scheduler', 'none')).rejects.toMatchObject(failure);
    expect(queues.trouble(7)).toBe('');
  });

  test('a call that does not return holds up nobody, is the last one of its device until it has, and of no other', async () => {
    const queues = new NbdQueues({ folder, patienceMs: SHORT_MS });
    const fifo = holdUp('queue/scheduler');
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 10);
    const calls = [queues.read(0, ['queue/scheduler']), queues.write(0, 'bdi/max_ratio', 1)];
    for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
      const message = expect.stringMatching(/not returned from reading .*nbd0\/queue\/scheduler for \d+ s, probably because/);
      expect([status, reason]).toEqual(['rejected', expect.objectContaining({ code: 'unavailable', message })]);
    }
    clearInterval(ticking);
    expect(ticks).toBeGreaterThan(3);
    expect(queues.trouble(0)).toContain('nothing more is set there until it has');

    // At once: a timer that is due now comes later.
    const late = sleep(0, 'late');
    await expect(Promise.race([queues.write(0, 'bdi/max_ratio', 1), late])).rejects.toThrow('reading');
    expect(valueOf(0, 'bdi/max_ratio')).toBe('100');
    expect([await queues.read(1, ['bdi/max_ratio']), queues.trouble(1)]).toEqual([['100'], '']);

    const idle = queues.idle(0);
    await writeFile(fifo, 'none\n');
    await idle;
    expect(queues.trouble(0)).toBe('');
    await queues.write(0, 'bdi/max_ratio', 1);
    expect(valueOf(0, 'bdi/max_ratio')).toBe('1');
  });
});

describe('tune()', () => {
  test('sets what is not set yet', async () => {
    const queues = new NbdQueues({ folder, patienceMs: LONG_MS });
    expect(await hasIoTimeout(queues, 0, TUNING.ioTimeoutMs)).toBe(false);
    expect(await tune(queues, 0, TUNING)).toEqual([]);
    expect(Object.keys(UNSET).map((attribute) => valueOf(0, attribute))).toEqual(['1000', 'none', '1024', '4096', '2048', '30']);
    expect(await hasIoTimeout(queues, 0, TUNING.ioTimeoutMs)).toBe(true);
    // What is set already is left alone, and so is what can't be set: a folder could not be written to.
    writeFileSync(pathOf(0, 'queue/discard_max_hw_bytes'), '0');
    rmSync(pathOf(0, 'queue/discard_max_bytes'));
    mkdirSync(pathOf(0, 'queue/discard_max_bytes'));
    writeFileSync(pathOf(0, 'queue/scheduler'), 'mq-deadline [none]');
    expect(await tune(queues, 0, TUNING)).toEqual([]);
    expect(valueOf(0, 'queue/scheduler')).toBe('mq-deadline [none]');
  });

  test('goes on after a setting that is refused, and fails for the timeout alone', async () => {
    const queues = new NbdQueues({ folder, patienceMs: LONG_MS });
    rmSync(pathOf(0, 'queue/scheduler'));
    mkdirSync(pathOf(0, 'queue/scheduler'));
    expect(await tune(queues, 0, TUNING)).toEqual([expect.stringMatching(/nbd0\/queue\/scheduler could not be set to none: ./)]);
    expect(valueOf(0, 'bdi/max_ratio')).toBe('30');
    rmSync(pathOf(1, 'queue/io_timeout'));
    mkdirSync(pathOf(1, 'queue/io_timeout'));
    await expect(tune(queues, 1, TUNING)).rejects.toMatchObject({ code: 'unavailable' });
    expect(valueOf(1, 'queue/scheduler')).toBe(UNSET['queue/scheduler']);
  });

  test('ends at the first setting that is stuck, and asks for none before that has returned', async () => {
    const queues = new NbdQueues({ folder, patienceMs: SHORT_MS });
    const fifo = holdUp('queue/scheduler');
    // Whoever reads it first is answered, and whoever writes it then is not.
    const answered = writeFile(fifo, '[mq-deadline] none\n');
    const problems = await tune(queues, 0, TUNING);
    await answered;
    expect(problems).toEqual([
      expect.stringMatching(/scheduler could not be set to none: the kernel has not returned from writing/),
    ]);
    expect([valueOf(0, 'queue/io_timeout'), valueOf(0, 'queue/max_sectors_kb')]).toEqual(['1000', '128']);
    await expect(tune(queues, 0, TUNING)).rejects.toThrow('has not returned from writing');
    await expect(hasIoTimeout(queues, 0, TUNING.ioTimeoutMs)).rejects.toThrow('has not returned from writing');

    // It is set in the end.
    expect(await readFile(fifo, 'utf8')).toBe('none');
    await queues.idle(0);
    expect(queues.trouble(0)).toBe('');
  });
});
