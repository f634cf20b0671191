import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { command, describeIf } from '../support/requires.ts';
import { countOf, counterRecord } from '../support/store-counter.ts';
import { EmbeddedLaboratory } from '../support/store-embedded.ts';
import { runStoreProcess, StoreProcess, type StoreProcessEnd } from '../support/store-process.ts';

/** A writer is killed when it is about to do this, or is told by the kernel that it failed. */
interface Step {
  readonly systemCall: string;
  /** Of the store: the lock, the record's file, the unfinished file, or the folder. */
  readonly place: 'lock' | 'record' | 'unfinished' | 'folder';
  /** What the record is afterwards. */
  readonly leaves: 'old' | 'new';
}

/** Everything a writer asks of the kernel after it has the lock, in order. A test below compares this list with a real writer. */
const WRITE_STEPS: Readonly<Record<string, Step>> = {
  'takes the lock': { systemCall: 'flock', place: 'lock', leaves: 'old' },
  'makes the unfinished file': { systemCall: 'openat', place: 'unfinished', leaves: 'old' },
  'writes the unfinished file': { systemCall: 'write', place: 'unfinished', leaves: 'old' },
  'syncs the unfinished file': { systemCall: 'fsync', place: 'unfinished', leaves: 'old' },
  'closes the unfinished file': { systemCall: 'close', place: 'unfinished', leaves: 'old' },
  'renames the file': { systemCall: 'rename', place: 'unfinished', leaves: 'old' },
  'opens the folder': { systemCall: 'openat', place: 'folder', leaves: 'new' },
  'syncs the folder': { systemCall: 'fsync', place: 'folder', leaves: 'new' },
  'closes the folder': { systemCall: 'close', place: 'folder', leaves: 'new' },
  'gives the lock back': { systemCall: 'close', place: 'lock', leaves: 'new' },
};
const DELETE_STEPS: Readonly<Record<string, Step>> = {
  'takes the lock': { systemCall: 'flock', place: 'lock', leaves: 'old' },
  'unlinks the file': { systemCall: 'unlink', place: 'record', leaves: 'old' },
  'opens the folder': { systemCall: 'openat', place: 'folder', leaves: 'new' },
  'syncs the folder': { systemCall: 'fsync', place: 'folder', leaves: 'new' },
  'closes the folder': { systemCall: 'close', place: 'folder', leaves: 'new' },
  'gives the lock back': { systemCall: 'close', place: 'lock', leaves: 'new' },
};
const SYSTEM_CALLS = 'openat,flock,write,fsync,fdatasync,close,rename,unlink';

/** What the kernel may answer to a step, and how the message names it. Closing is left out: what it fails for is written already. */
const FAILURES: readonly (readonly [step: string, errno: string])[] = [
  ['makes the unfinished file', 'ENOSPC'],
  ['makes the unfinished file', 'EROFS'],
  ['writes the unfinished file', 'ENOSPC'],
  ['writes the unfinished file', 'EIO'],
  ['syncs the unfinished file', 'EIO'],
  ['syncs the unfinished file', 'EDQUOT'],
  ['renames the file', 'ENOSPC'],
  ['renames the file', 'EACCES'],
  ['opens the folder', 'EMFILE'],
  ['syncs the folder', 'EIO'],
];

const NAME = 'e1.1';
let laboratory: EmbeddedLaboratory;
let traces: string;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory();
  traces = mkdtempSync(join(tmpdir(), 'aoe-csi-strace-'));
  const store = await laboratory.open();
  await store.targets.create(NAME, counterRecord(NAME, 1));
  await store.targets.create('e1.2', counterRecord('e1.2', 7));
});
afterEach(async () => {
  await laboratory.remove();
  rmSync(traces, { recursive: true, force: true });
});

function pathOf(place: Step['place']): string {
  const record = laboratory.fileOf(NAME);
  const paths = {
    lock: join(laboratory.directory, 'lock'),
    record,
    unfinished: `${record}.new`,
    folder: join(laboratory.directory, 'targets'),
  };
  return paths[place];
}

/**
 * strace that lets `what` happen to a writer at a step. Opening the store takes the lock and lists the folder once before the write:
 * these come first and are let pass. strace counts for each thread, so that there may be only one that works on files.
 */
function straceAt({ systemCall, place }: Step, what: string): string[] {
  const when = place === 'lock' || (place === 'folder' && systemCall !== 'fsync') ? 2 : 1;
  const injection = `inject=${systemCall}:${what}:when=${when}`;
  return [
    'strace',
    '-E',
    'UV_THREADPOOL_SIZE=1',
    '-f',
    '-qq',
    '-o',
    join(traces, 'trace'),
    '-P',
    pathOf(place),
    '-e',
    `trace=${systemCall}`,
    '-e',
    injection,
  ];
}

/** What a store is afterwards, to people who come later: consistent, without leftovers, and as good as new. */
async function expectSound(counts: readonly (number | undefined)[]): Promise<void> {
  const store = await laboratory.open();
  const found = await store.targets.get(NAME);
  expect(counts).toContain(found && countOf(found.value));
  expect(countOf((await store.targets.get('e1.2'))!.value)).toBe(7);
  expect((await store.targets.list()).map(({ name }) => name)).toEqual(found === undefined ? ['e1.2'] : [NAME, 'e1.2']);
  expect(readdirSync(join(laboratory.directory, 'targets')).filter((name) => !/^e1\.[12]\.json$/.test(name))).toEqual([]);
  if (found === undefined) await store.targets.create(NAME, counterRecord(NAME, 3));
  else await store.targets.update(NAME, found.version, counterRecord(NAME, 3));
  expect(countOf((await store.targets.get(NAME))!.value)).toBe(3);
  expect(laboratory.problems).toEqual([]);
}

function wasKilled({ signal, code }: StoreProcessEnd): boolean {
  return signal === 'SIGKILL' || code === 128 + 9;
}

describeIf([command('strace')], 'a writer killed at each step', () => {
  test.each(Object.entries(WRITE_STEPS))(
    'that changes a record leaves it whole when killed before it %s',
    async (_name, step) => {
      const end = await runStoreProcess(laboratory.opener, 'update', [NAME, '2'], straceAt(step, 'signal=SIGKILL'));
      expect(wasKilled(end)).toBe(true);
      expect(end.lines).toEqual([]);
      await expectSound([step.leaves === 'old' ? 1 : 2]);
    },
  );

  test.each(Object.entries(DELETE_STEPS))(
    'that deletes a record leaves it or takes it when killed before it %s',
    async (_name, step) => {
      const end = await runStoreProcess(laboratory.opener, 'delete', [NAME], straceAt(step, 'signal=SIGKILL'));
      expect(wasKilled(end)).toBe(true);
      await expectSound([step.leaves === 'old' ? 1 : undefined]);
    },
  );

  test.each([
    ['update', [NAME, '2'], WRITE_STEPS],
    ['delete', [NAME], DELETE_STEPS],
  ] as const)('the steps of %s are those listed here, all of them and in this order', async (job, words, steps) => {
    const trace = join(traces, 'trace');
    const places = (['lock', 'record', 'unfinished', 'folder'] as const).flatMap((place) => ['-P', pathOf(place)]);
    const strace = ['strace', '-f', '-y', '-qq', '-o', trace, ...places, '-e', `trace=${SYSTEM_CALLS}`];
    expect((await runStoreProcess(laboratory.opener, job, words, strace)).lines).toEqual(['done']);
    // From the second time that the lock is taken: the first is for opening the store. What only reads the record changes nothing.
    const lines = readFileSync(trace, 'utf8').split('\n');
    const write = lines.slice(lines.findLastIndex((line) => line.includes('flock(')));
    const done = write.flatMap((line) => /^\d+ +(?:<\.\.\. )?(\w+)\(/.exec(line)?.[1] ?? []);
    const reading = ['openat', 'close'];
    expect(done).toEqual([
      steps['takes the lock'].systemCall,
      ...reading,
      ...Object.values(steps)
        .slice(1)
        .map(({ systemCall }) => systemCall),
    ]);
  });

  test.each(FAILURES)('that is refused when it %s says so (%s), and nothing is lost', async (name, errno) => {
    const step = WRITE_STEPS[name];
    const { lines } = await runStoreProcess(laboratory.opener, 'update', [NAME, '2'], straceAt(step, `error=${errno}`));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`VolumeError: cannot write the record ${NAME}, ${laboratory.fileOf(NAME)}: ${errno}; `);
    expect(lines[0]).toContain(step.leaves === 'old' ? 'nothing was changed' : 'it is done, but a power failure may undo it');
    expect(readdirSync(join(laboratory.directory, 'targets')).toSorted()).toEqual([`${NAME}.json`, 'e1.2.json']);
    await expectSound([step.leaves === 'old' ? 1 : 2]);
  });

  test('that can’t be told of changes looks for them itself', async () => {
    const strace = [
      'strace',
      '-f',
      '-qq',
      '-o',
      join(traces, 'trace'),
      '-e',
      'trace=inotify_add_watch',
      '-e',
      'inject=inotify_add_watch:error=ENOSPC',
    ];
    const watcher = new StoreProcess(laboratory.opener, 'watch', [], strace);
    await watcher.said((line) => line === 'watching');
    const store = await laboratory.open();
    const { version } = (await store.targets.get(NAME))!;
    await store.targets.update(NAME, version, counterRecord(NAME, 2));
    await watcher.said((line) => line === NAME);
    const { version: other } = (await store.targets.get('e1.2'))!;
    await store.targets.delete('e1.2', other);
    await watcher.said((line) => line === 'e1.2');
    watcher.endInput();
    await watcher.ended;
  });
});

test('a writer killed at any instant has stored what it said, and at most one number more', async () => {
  const rounds = 20;
  let least = 1;
  for (let round = 0; round < rounds; round++) {
    const writer = new StoreProcess(laboratory.opener, 'count', [NAME]);
    await writer.said(() => true);
    await delay(Math.random() * 40);
    writer.kill();
    const { lines } = await writer.ended;
    const said = Number(lines.at(-1));
    expect(said).toBeGreaterThan(least);
    const store = await laboratory.open();
    const stored = countOf((await store.targets.get(NAME))!.value);
    expect([said, said + 1]).toContain(stored);
    least = stored;
  }
  await expectSound([least]);
}, 60_000);

test('two writers of which one is killed again and again disturb each other in nothing', async () => {
  const steady = new StoreProcess(laboratory.opener, 'count', ['e1.2']);
  await steady.said(() => true);
  for (let round = 0; round < 5; round++) {
    const killed = new StoreProcess(laboratory.opener, 'count', [NAME]);
    await killed.said(() => true);
    await delay(Math.random() * 30);
    killed.kill();
    await killed.ended;
  }
  const before = steady.lines.length;
  await steady.said(() => steady.lines.length > before + 3);
  steady.kill();
  const { lines } = await steady.ended;
  // Every number once: it missed nothing and nobody took it back.
  expect(lines).toEqual(lines.map((_, index) => `${8 + index}`));
}, 60_000);

test('leftovers of killed writers are removed when the store is opened, and only they', async () => {
  const folder = join(laboratory.directory, 'targets');
  for (const name of [`${NAME}.json.new`, 'e9.9.json.new']) writeFileSync(join(folder, name), '{"format": 1, "vers');
  writeFileSync(join(folder, 'README.txt'), 'put here by a person');
  const store = await laboratory.open();
  expect(readdirSync(folder).toSorted()).toEqual(['README.txt', `${NAME}.json`, 'e1.2.json']);
  expect((await store.targets.list()).map(({ name }) => name)).toEqual([NAME, 'e1.2']);
});
