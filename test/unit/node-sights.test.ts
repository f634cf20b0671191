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
const LOOK_MS = 5_000;
const HOUR_MS = 60 * MINUTE_MS;

let isBusy: boolean;
let questions: number;
let sights: Sights;
/** MACs of the target that do not answer. */
let silent: number;
/** Targets that are there besides, and found first. */
let others: readonly (typeof TARGET)[];
/** What targets have as config string; the dead do not answer, and discovery has not heard of them since then. */
let configString: string;
let dead: Map<string, number>;
/** When those asked from now on answer. */
let until: Promise<void>;
/** Who was asked for its config string, in this order. */
let asked: string[];

beforeEach(() => {
  jest.useFakeTimers();
  [isBusy, questions, silent, others] = [true, 0, 0, []];
  [configString, dead, until, asked] = ['', new Map(), Promise.resolve(), []];
  // What an initiator answers; what it does itself is tested with real ones.
  const initiator: Pick<InitiatorClient, 'interfaces' | 'targets' | 'configString' | 'reserved'> = {
    interfaces: async () => Promise.resolve([]),
    targets: async () =>
      Promise.resolve(
        [...others, TARGET].map((target) => {
          const nowMs = performance.now();
          return { ...target, paths: [{ interface: 'eth1' }], silentMs: nowMs - (dead.get(target.name) ?? nowMs) };
        }) as never,
      ),
    configString: async (address) => {
      asked.push(address);
      const texts = [configString];
      await until;
      if (dead.has(address)) throw new VolumeError('unavailable', 'no answer');
      return { texts } as never;
    },
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

/** Targets that were found before the other one, and have been dead for so long. */
function manyDead(count: number, silentMs: number): void {
  others = Array.from({ length: count }, (_, slot) => ({ ...TARGET, name: `e9.${slot}`, shelf: 9, slot }));
  dead = new Map(others.map(({ name }) => [name, performance.now() - silentMs]));
}

/** The next look, and whom it has asked. */
async function nextLook(): Promise<string[]> {
  jest.advanceTimersByTime(LOOK_MS);
  asked = [];
  await sights.look();
  return asked;
}

async function seen(): Promise<string[]> {
  return Object.keys((await sights.look()).targets);
}

describe('look() at targets that do not answer', () => {
  beforeEach(() => {
    isBusy = false;
  });

  test('says that one is not seen when it has left two questions unanswered, and asks it less and less often', async () => {
    await sights.look();
    dead.set('e10.1', performance.now());
    jest.advanceTimersByTime(MINUTE_MS);
    expect(await seen()).toEqual(['e10.1']);
    expect(await seen()).toEqual([]);
    const waits: number[] = [];
    for (let second = 5; second <= 1_800; second += 5) if ((await nextLook()).length > 0) waits.push(second);
    expect(waits).toEqual([10, 30, 70, 150, 310, 610, 910, 1_210, 1_510]);
  });

  test('asks one at once of which discovery has heard again', async () => {
    await sights.look();
    dead.set('e10.1', performance.now());
    for (let second = 0; second < 1_000; second += 5) await nextLook();
    expect(await nextLook()).toEqual([]);
    dead.clear();
    expect(await nextLook()).toEqual(['e10.1']);
    expect(await seen()).toEqual(['e10.1']);
  });

  test('asks a few of many in one look, after all others, so that these need not wait', async () => {
    manyDead(40, HOUR_MS);
    expect((await nextLook()).indexOf('e10.1')).toBe(0);
    const all = new Set(asked);
    for (let look = 0; look < 5; look++) {
      for (const name of await nextLook()) all.add(name);
      expect(asked.length).toBeLessThanOrEqual(8);
    }
    expect(all.size).toBe(41);
  });

  test('counts one that discovery has not heard of for minutes as lost until it answers', async () => {
    manyDead(1, HOUR_MS);
    expect(await seen()).toEqual(['e10.1']);
    expect(asked).toContain('e9.0');
    dead.clear();
    await nextLook();
    expect(await seen()).toEqual(['e9.0', 'e10.1']);
  });

  test('asks every target in the end, however many do not answer', async () => {
    manyDead(200, 0);
    const all = new Set<string>();
    for (let look = 0; look < 3; look++) for (const name of await nextLook()) all.add(name);
    expect(all.size).toBe(201);
  });

  test('asks one target only when only that is wanted, and tells of all', async () => {
    manyDead(2, 0);
    await sights.look();
    jest.advanceTimersByTime(MINUTE_MS);
    asked = [];
    sights.forget('e10.1');
    const { targets } = await sights.look('e10.1');
    expect(asked).toEqual(['e10.1']);
    expect(Object.keys(targets)).toEqual(['e9.0', 'e9.1', 'e10.1']);
  });

  test('does not believe an answer that comes late to a question from before forget()', async () => {
    const late = Promise.withResolvers<void>();
    [configString, until] = ['old', late.promise];
    const earlier = sights.look();
    while (asked.length === 0) await Promise.resolve();
    [configString, until] = ['new', Promise.resolve()];
    sights.forget('e10.1');
    expect((await sights.look('e10.1')).targets['e10.1'].configString).toBe('new');
    late.resolve();
    expect((await earlier).targets['e10.1'].configString).toBe('new');
  });
});
