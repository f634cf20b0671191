import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FolderWatcher } from '../../src/embedded/folder-watcher.ts';

/** So rarely that only notifications can have told. */
const NEVER_MS = 2 ** 31 - 1;

let folder: string;
let watcher: FolderWatcher;
let calls: (readonly string[])[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-watch-'));
  calls = [];
});
afterEach(() => {
  watcher.close();
  rmSync(folder, { recursive: true });
});

function startWatching(pollMs: number): void {
  watcher = new FolderWatcher(folder, pollMs, (problem) => calls.push([problem]));
  watcher.watch((names) => calls.push(names));
}

/** As the store writes. */
function replace(name: string, text: string): void {
  writeFileSync(join(folder, `${name}.json.new`), text);
  renameSync(join(folder, `${name}.json.new`), join(folder, `${name}.json`));
}

async function heardOf(count: number): Promise<Set<string>> {
  for (let tries = 0; tries < 200 && new Set(calls.flat()).size < count; tries++) await delay(10);
  return new Set(calls.flat());
}

test('watch() hears of every record by notification alone, and of nothing but records', async () => {
  startWatching(NEVER_MS);
  writeFileSync(join(folder, 'notes.txt'), 'x');
  const names = Array.from({ length: 300 }, (_, index) => `e${index}.1`);
  for (const name of names) replace(name, 'x');
  expect([...(await heardOf(300))].toSorted()).toEqual(names.toSorted());
  // Changes at once are told together.
  expect(calls.length).toBeLessThan(100);
});

test('watch() tells of a change once: looking at the folder does not tell it again', async () => {
  startWatching(20);
  replace('e1.1', 'x');
  await heardOf(1);
  await delay(400);
  expect(calls).toEqual([['e1.1']]);
});

test('watch() says nothing of what was there before, and everything of what changes afterwards', async () => {
  replace('e1.1', 'x');
  replace('e1.2', 'x');
  startWatching(20);
  await delay(200);
  expect(calls).toEqual([]);
  rmSync(join(folder, 'e1.1.json'));
  replace('e1.2', 'x');
  expect(await heardOf(2)).toEqual(new Set(['e1.1', 'e1.2']));
});

test('watch() after all have stopped begins anew', async () => {
  watcher = new FolderWatcher(folder, NEVER_MS, () => undefined);
  for (let round = 0; round < 3; round++) {
    calls = [];
    const stop = watcher.watch((names) => calls.push(names));
    replace('e1.1', `${round}`);
    expect(await heardOf(1)).toEqual(new Set(['e1.1']));
    stop();
    stop();
    replace('e1.2', 'x');
    await delay(30);
    expect(new Set(calls.flat())).toEqual(new Set(['e1.1']));
  }
});

test('watch() outlives a folder that can’t be looked at, says so once, and goes on when it can', async () => {
  replace('e1.1', 'x');
  startWatching(20);
  const away = `${folder}.away`;
  renameSync(folder, away);
  // Whoever follows it goes round in a circle: an error that is not "there is no such file".
  symlinkSync(folder, folder);
  await delay(300);
  rmSync(folder);
  renameSync(away, folder);
  expect(calls).toEqual([[expect.stringMatching(/^cannot look for changes in .*ELOOP/)]]);
  replace('e1.2', 'x');
  expect(await heardOf(2)).toContain('e1.2');
});
