import { mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { DirectoryStore } from '../../src/embedded/directory-store.ts';
import { RECORD_BYTES_MAX } from '../../src/embedded/record-file.ts';
import { change } from '../../src/volumes/store.ts';
import { waitForRecord } from '../../src/volumes/wait-for-record.ts';
import { countOf, counterRecord } from '../support/store-counter.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';

let laboratory: EmbeddedLaboratory;
let store: DirectoryStore;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
  for (const name of ['e1.1', 'e1.2', 'e1.3']) await store.targets.create(name, counterRecord(name, 1));
});
afterEach(async () => laboratory.remove());

/** That a damaged record is told by its file's name, and hinders nobody who wants another. */
async function expectDamage(name: string, why: RegExp): Promise<void> {
  const damaged = { code: 'internal', message: expect.stringMatching(why) };
  const file = laboratory.fileOf(name);
  laboratory.problems.length = 0;
  await expect(store.targets.get(name)).rejects.toMatchObject({
    message: expect.stringContaining(`the record ${name}, ${file}: `),
  });
  for (const call of [
    async () => store.targets.get(name),
    async () => store.targets.create(name, counterRecord(name, 9)),
    async () => store.targets.update(name, '1', counterRecord(name, 9)),
    async () => store.targets.delete(name, '1'),
  ]) {
    await expect(call()).rejects.toMatchObject(damaged);
  }
  const others = ['e1.1', 'e1.2', 'e1.3'].filter((other) => other !== name);
  expect((await store.targets.list()).map((record) => record.name)).toEqual(others);
  expect(laboratory.problems).toEqual([expect.stringMatching(why)]);
  for (const other of others) {
    const { version, value } = (await store.targets.get(other))!;
    await store.targets.update(other, version, counterRecord(other, countOf(value) + 1));
  }
}

test('a record that was cut off anywhere is refused with its file, and the others go on', async () => {
  const file = laboratory.fileOf('e1.2');
  const whole = readFileSync(file);
  // Without its last byte, a line's end, it is still whole.
  for (let length = 0; length < whole.length - 1; length += 7) {
    truncateSync(file, length);
    await expectDamage('e1.2', length === 0 ? /it is empty/ : /it is not JSON, or not all of it/);
    writeFileSync(file, whole);
  }
  expect(countOf((await store.targets.get('e1.2'))!.value)).toBe(1);
});

test.each<[string, string | Buffer, RegExp]>([
  ['zeroes, as after a power failure on a careless file system', Buffer.alloc(300), /it is not JSON/],
  ['bytes that are no text', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /it is not JSON/],
  ['another kind of JSON', '[]', /its format is undefined/],
  ['null', 'null', /it holds no object/],
  ['a later format', '{"format": 2, "version": "1-ab", "value": {}}', /its format is 2, and this program knows 1/],
  ['no version', '{"format": 1, "value": {}}', /its version is missing or damaged/],
  ['no value', '{"format": 1, "version": "1-ab"}', /it is not an object/],
  ['a value of another form', '{"format": 1, "version": "1-ab", "value": {"address": "e1.2"}}', /state is not one of/],
])('a file that holds %s is refused with its name, and the others go on', async (_what, content, why) => {
  writeFileSync(laboratory.fileOf('e1.2'), content);
  await expectDamage('e1.2', why);
});

test('a record under another’s name is refused: a copy by hand moves no volume', async () => {
  writeFileSync(laboratory.fileOf('e1.2'), readFileSync(laboratory.fileOf('e1.1')));
  await expectDamage('e1.2', /address is 'e1\.1', but the record is named 'e1\.2'/);
});

test('a file far too large for a record is not read', async () => {
  truncateSync(laboratory.fileOf('e1.2'), 100 * RECORD_BYTES_MAX);
  await expectDamage('e1.2', /it has \d+ bytes, and no record has more than/);
});

test('a folder in a record’s place is refused with its name', async () => {
  rmSync(laboratory.fileOf('e1.2'));
  mkdirSync(laboratory.fileOf('e1.2'));
  await expect(store.targets.get('e1.2')).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('EISDIR'),
  });
  expect((await store.targets.list()).map((record) => record.name)).toEqual(['e1.1', 'e1.3']);
});

test('a record that is mended is as good as before, and watchers hear of it', async () => {
  const file = laboratory.fileOf('e1.2');
  const whole = readFileSync(file, 'utf8');
  writeFileSync(file, whole.slice(0, 40));
  await expectDamage('e1.2', /it is not JSON/);
  const mended = waitForRecord(
    store.targets,
    'e1.1',
    (record) => record !== undefined && countOf(record.value) === 42,
    AbortSignal.timeout(5_000),
  );
  writeFileSync(file, whole);
  // Edited in place, as a person would.
  const other = laboratory.fileOf('e1.1');
  writeFileSync(other, readFileSync(other, 'utf8').replace(/"sizeBytes": \d+/, '"sizeBytes": 42'));
  expect(countOf((await mended)!.value)).toBe(42);
  expect(countOf((await store.targets.get('e1.2'))!.value)).toBe(1);
});

test('files that are no records are left alone', async () => {
  const folder = join(laboratory.directory, 'targets');
  for (const name of ['notes.txt', '.hidden.json', 'e1.4.json~', '%zz.json', '%65.json', '.json'])
    writeFileSync(join(folder, name), 'x');
  expect((await store.targets.list()).map((record) => record.name)).toEqual(['e1.1', 'e1.2', 'e1.3']);
  expect(laboratory.problems).toEqual([]);
});

test('a store whose folder disappears says so, and works when it is back', async () => {
  const folder = join(laboratory.directory, 'targets');
  renameSync(folder, `${folder}.away`);
  await expect(store.targets.list()).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('ENOENT; a folder of the store is gone'),
  });
  // Nobody may take this for a record that is not there: a volume would be thought deleted, or unpublished.
  await expect(store.targets.get('e1.1')).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('a folder of the store is gone'),
  });
  await expect(change(store.targets, 'e1.1', () => undefined)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(store.targets.create('e1.4', counterRecord('e1.4', 1))).rejects.toMatchObject({ code: 'unavailable' });
  renameSync(`${folder}.away`, folder);
  expect(await store.targets.get('e1.4')).toBeUndefined();
  await store.targets.create('e1.4', counterRecord('e1.4', 1));
});

test('files are their owner’s alone, and the folders too', () => {
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
  expect(modeOf(laboratory.fileOf('e1.1'))).toBe('600');
  expect(modeOf(join(laboratory.directory, 'targets'))).toBe('700');
});
