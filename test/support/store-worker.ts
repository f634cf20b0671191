import { writeSync } from 'node:fs';
import { change, type Store } from '../../src/volumes/store.ts';
import { countOf, counterRecord } from './store-counter.ts';

/**
 * A process that does one job on a store, for tests with several processes and for those that kill one:
 *
 *     node store-worker.js <module with openStore()> <argument of openStore()> <job> [arguments of the job]
 *
 * Says what it has done in lines on standard output, before it does anything else: what it has said is true even if it is killed.
 */
type Job = (store: Store, ...words: string[]) => Promise<void>;

const JOBS: Readonly<Record<string, Job>> = {
  /** Adds 1 to a counter, so many times. */
  increment: async (store, name, times) => {
    for (let done = 0; done < Number(times); done++) {
      await change(store.targets, name, (record) => counterRecord(name, countOf(record) + 1));
    }
    say('done');
  },

  /** Adds 1 to a counter until it is killed, and says the number each time it is stored. */
  count: async (store, name) => {
    for (;;) {
      const written = await change(store.targets, name, (record) => counterRecord(name, countOf(record) + 1));
      say(`${written === undefined ? 'none' : countOf(written.value)}`);
    }
  },

  create: async (store, name, count) => {
    await store.targets.create(name, counterRecord(name, Number(count)));
    say('done');
  },

  update: async (store, name, count) => {
    const found = await store.targets.get(name);
    await store.targets.update(name, found?.version ?? '', counterRecord(name, Number(count)));
    say('done');
  },

  delete: async (store, name) => {
    const found = await store.targets.get(name);
    await store.targets.delete(name, found?.version ?? '');
    say('done');
  },

  watch: async ({ targets }) => sayNames(targets),
  'watch-nodes': async ({ nodes }) => sayNames(nodes),
};

/** Says the names that it is told of, until standard input ends. */
async function sayNames(collection: Pick<Store['targets'], 'watch'>): Promise<void> {
  const stop = collection.watch((names) => {
    for (const name of names) say(name);
  });
  say('watching');
  process.stdin.resume();
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdin.once('end', () => resolve());
  await promise;
  stop();
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const [, , module, argument, job, ...words] = process.argv;
const { openStore } = (await import(module)) as { openStore: (argument: string) => Promise<Store> };
try {
  const store = await openStore(argument);
  await JOBS[job](store, ...words);
  await store.close();
} catch (error) {
  say(`${(error as Error).name}: ${(error as Error).message}`);
  process.exitCode = 1;
}
