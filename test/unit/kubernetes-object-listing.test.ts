import { beforeEach, expect, test } from '@jest/globals';
import type { ApiAnswer, ApiConnection, ApiRequest } from '../../src/kubernetes/api-connection.ts';
import type { MetadataWatcher } from '../../src/kubernetes/metadata-watcher.ts';
import { METADATA_LIST } from '../../src/kubernetes/metadata.ts';
import { BELIEVED_MS } from '../../src/kubernetes/object-listing.ts';
import { ObjectCollection } from '../../src/kubernetes/object-collection.ts';
import { NODES } from '../../src/kubernetes/resources.ts';

/** Objects of the API server: version and record, by name. */
let objects: Map<string, { version: string; value: string }>;
/** Which of them it says are not there, when one is asked for. */
let missing: Set<string>;
/** What was asked of it. */
let asked: string[];
let problems: string[];
let nowMs: number;
let collection: ObjectCollection<string>;

const NAMES = Array.from({ length: 40 }, (_, index) => `n${String(index).padStart(2, '0')}`);

beforeEach(() => {
  objects = new Map(NAMES.map((name) => [name, { version: '1', value: `of ${name}` }]));
  [asked, problems, missing, nowMs] = [[], [], new Set(), 0];
  const server: Pick<ApiConnection, 'request'> = { request: async (request) => Promise.resolve(answer(request)) };
  collection = new ObjectCollection<string>({
    connection: server as ApiConnection,
    resource: NODES,
    namespace: 'ns',
    path: '/nodes',
    page: 100,
    watcher: {} as MetadataWatcher,
    problemOf: (_name, value) => (value === 'damaged' ? 'it is damaged' : undefined),
    onProblem: (message) => void problems.push(message),
    kept: (value) => value,
    steadyMs: () => nowMs,
  });
});

function answer({ path, accept }: ApiRequest): ApiAnswer {
  const bodyOf = (name: string, isWhole: boolean): object => {
    const { version, value } = objects.get(name)!;
    return { metadata: { name, resourceVersion: version }, ...(isWhole ? { spec: value } : {}) };
  };
  if (path === '/nodes') {
    asked.push(accept === METADATA_LIST ? 'versions' : 'all');
    const items = [...objects.keys()].map((name) => bodyOf(name, accept !== METADATA_LIST));
    return { status: 200, body: { metadata: { resourceVersion: '9' }, items } };
  }
  const name = path.slice('/nodes/'.length);
  asked.push(name);
  if (objects.has(name) && !missing.has(name)) return { status: 200, body: bodyOf(name, true) };
  return { status: 404, body: { kind: 'Status', details: { name } } };
}

async function listed(): Promise<Record<string, string>> {
  return Object.fromEntries((await collection.list()).map(({ name, version, value }) => [name, `${version} ${value}`]));
}

/** What a list must say. */
function there(): Record<string, string> {
  return Object.fromEntries([...objects].map(([name, { version, value }]) => [name, `${version} ${value}`]));
}

test('a list reads again only what has another version, and forgets what is gone', async () => {
  expect(await listed()).toEqual(there());
  expect(await listed()).toEqual(there());
  expect(asked).toEqual(['all', 'versions']);
  objects.set('n07', { version: '2', value: 'changed' });
  objects.set('n99', { version: '3', value: 'new' });
  objects.delete('n01');
  expect(await listed()).toEqual(there());
  expect(asked.slice(2)).toEqual(['versions', 'n07', 'n99']);
  // Made anew under its name: the server gives no version twice.
  objects.set('n01', { version: '4', value: 'again' });
  expect(await listed()).toEqual(there());
});

test('where many have changed all are read at once', async () => {
  await listed();
  for (const name of NAMES.slice(10)) objects.set(name, { version: '2', value: 'changed' });
  expect(await listed()).toEqual(there());
  expect(asked).toEqual(['all', 'versions', 'all']);
});

test('one that goes away between the versions and its reading is not there', async () => {
  await listed();
  objects.set('n07', { version: '2', value: 'changed' });
  const { n07: _gone, ...rest } = there();
  // The list of versions has it, the next question does not find it.
  missing.add('n07');
  expect(await listed()).toEqual(rest);
});

test('a damaged record is told of by each list, also by one that has not read it again', async () => {
  objects.set('n03', { version: '2', value: 'damaged' });
  for (let round = 1; round <= 3; round++) {
    expect(Object.keys(await listed())).toHaveLength(NAMES.length - 1);
    expect(problems).toHaveLength(round);
  }
  expect(asked).toEqual(['all', 'versions', 'versions']);
  objects.set('n03', { version: '3', value: 'repaired' });
  expect(await listed()).toEqual(there());
  expect(problems).toHaveLength(3);
});

test('what has another record at the version that it had, after a restore from a backup, is found in the end', async () => {
  await listed();
  objects.set('n07', { version: '1', value: 'of another time' });
  nowMs = BELIEVED_MS - 1;
  await listed();
  nowMs = BELIEVED_MS;
  expect(await listed()).toEqual(there());
  expect(asked).toEqual(['all', 'versions', 'all']);
});
