import { afterEach, describe, expect, test } from '@jest/globals';
import { NbdCalls, type NbdCall } from '../../src/initiator/attach/nbd-calls.ts';
import { eventually } from '../support/faults-process.ts';

/** Calls of a driver that may not return, with a thread that blocks as one would that is stuck. */

const THREAD = new URL('../support/nbd-slow-thread.js', import.meta.url);
const RECONFIGURE: NbdCall = { op: 'reconfigure', change: { index: 1, identifier: 'a' } };
const STUCK_MS = 1_500;

let calls: NbdCalls;
const said: string[] = [];

function start(alarmMs: number, thread = THREAD): NbdCalls {
  said.length = 0;
  calls = new NbdCalls({ alarm: (text) => said.push(text), alarmMs, thread });
  return calls;
}

afterEach(() => calls.stop());

describe('NbdCalls', () => {
  test('run() answers one call after the other, in order', async () => {
    start(60_000);
    const order: string[] = [];
    await Promise.all([
      calls.run({ op: 'disconnect', index: 50, identifier: 'a' }).then(() => order.push('first')),
      calls.run({ op: 'disconnect', index: 0, identifier: 'a' }).then(() => order.push('second')),
      calls.number({ op: 'probe' }).then((value) => order.push(String(value))),
    ]);
    expect([order, said, calls.trouble]).toEqual([['first', 'second', '7'], [], '']);
  });

  test('run() rejects with the name of the error', async () => {
    start(60_000);
    await expect(calls.run(RECONFIGURE)).rejects.toMatchObject({ errno: 'EINVAL', message: 'refused', code: 'unavailable' });
  });

  test('behind a call that does not return none is made: those that wait are refused, and so are new ones until it has', async () => {
    start(100);
    const stuck = calls.run({ op: 'disconnect', index: STUCK_MS, identifier: 'a' });
    const behind = calls.run(RECONFIGURE);
    await expect(behind).rejects.toMatchObject({
      errno: '',
      message: expect.stringContaining('NBD_CMD_DISCONNECT of /dev/nbd1500'),
    });
    expect(said).toEqual([expect.stringMatching(/has not returned from NBD_CMD_DISCONNECT of \/dev\/nbd1500 for \d+ s/)]);
    expect(calls.trouble).toContain('nothing more is asked of it until it has');
    await expect(calls.run(RECONFIGURE)).rejects.toMatchObject({ errno: '' });
    expect(await stuck).toBe(7);
    expect(calls.trouble).toBe('');
    expect(said[1]).toMatch(/has returned from NBD_CMD_DISCONNECT of \/dev\/nbd1500 after \d/);
    expect(await calls.run({ op: 'probe' })).toBe(7);
  });

  test('a thread that fails is replaced for the next call', async () => {
    start(60_000);
    await expect(calls.run({ op: 'monitor' })).rejects.toThrow('has failed: broken on purpose');
    await eventually('a new thread', 5_000, async () => (await calls.run({ op: 'probe' })) === 7);
  });
});
