import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { Sights } from '../../src/node/sights.ts';
import { VolumeError } from '../../src/volumes/errors.ts';
import type { SightRecord } from '../../src/volumes/records.ts';

const MINUTE_MS = 60_000;
const TARGET = {
  name: 'e10.1',
  shelf: 10,
  slot: 1,
  state: 'discovered',
  sectors: 8,
  serial: 's',
  model: 'm',
  configString: new Uint8Array(),
};

let isBusy: boolean;
let questions: number;
let sights: Sights;
/** MACs of the target that do not answer. */
let silent: number;
/** Targets that are there besides, and found first. */
let others: readonly (typeof TARGET)[];

beforeEach(() => {
  jest.useFakeTimers();
  [isBusy, questions, silent, others] = [true, 0, 0, []];
  // What an initiator answers; what it does itself is tested with real ones.
  const initiator: Pick<InitiatorClient, 'interfaces' | 'targets' | 'configString' | 'reserved'> = {
    interfaces: async () => Promise.resolve([]),
    targets: async () =>
      Promise.resolve([...others, TARGET].map((each) => ({ ...each, paths: [{ interface: 'eth1' }] })) as never),
    configString: async () => Promise.resolve({ texts: [''] } as never),
    reserved: async () => {
      questions++;
      if (isBusy) throw new VolumeError('unavailable', 'no answer');
      return Promise.resolve({ error: 0, lists: [[]], silent } as never);
    },
  };
  sights = new Sights(initiator as InitiatorClient);
});

afterEach(() => void jest.useRealTimers());

const sight = async (): Promise<SightRecord> => (await sights.look()).targets['e10.1'];
const fencing = async (): Promise<string> => {
  const { fencing: level, isFencingUnknown = false } = await sight();
  return isFencingUnknown ? `${level}?` : level;
};

describe('look()', () => {
  test('asks a target again about reservations that was only busy, and believes its answer for good', async () => {
    expect(await fencing()).toBe('claim?');
    expect(await fencing()).toBe('claim');
    isBusy = false;
    expect(await fencing()).toBe('claim');
    jest.advanceTimersByTime(MINUTE_MS);
    expect(await fencing()).toBe('reserve');
    isBusy = true;
    for (let minute = 0; minute < 10; minute++) {
      jest.advanceTimersByTime(MINUTE_MS);
      expect(await fencing()).toBe('reserve');
    }
    expect(questions).toBe(3);
  });

  test('does not count a target as one that can refuse others before all of its MACs have said so, and asks again at once', async () => {
    [isBusy, silent] = [false, 1];
    for (let look = 0; look < 5; look++) expect(await fencing()).toBe('claim?');
    silent = 0;
    expect(await fencing()).toBe('reserve');
  });

  test('does not call the level of a target known that it has not come to ask, or that has not answered', async () => {
    isBusy = false;
    others = Array.from({ length: 128 }, (_, slot) => ({ ...TARGET, name: `e9.${slot}`, shelf: 9, slot }));
    expect(await fencing()).toBe('claim?');
    expect(await fencing()).toBe('reserve');
  });

  test('still knows, after forget(), that a target can refuse others', async () => {
    isBusy = false;
    expect(await fencing()).toBe('reserve');
    isBusy = true;
    for (let wipe = 0; wipe < 3; wipe++) {
      sights.forget('e10.1');
      expect(await fencing()).toBe('reserve');
    }
    expect(questions).toBe(1);
  });

  test('asks one that goes on being silent less and less often, and never leaves it alone', async () => {
    await fencing();
    for (let minute = 0; minute < 24 * 60; minute++) {
      expect(await fencing()).toBe('claim');
      jest.advanceTimersByTime(MINUTE_MS);
    }
    expect(questions).toBeGreaterThan(24);
    expect(questions).toBeLessThan(40);
  });
});
