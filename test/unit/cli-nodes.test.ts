import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../src/embedded/directory-store.ts';
import type { NodeRecord } from '../../src/volumes/records.ts';
import { aoeCsi, type Outcome } from '../support/initiator-process.ts';
import { nodeRecord } from '../support/volumes-records.ts';

const HOUR_MS = 3_600_000;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-nodes-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function report(nodeId: string, differences: Partial<NodeRecord>): Promise<void> {
  const store = await DirectoryStore.open(folder, {});
  await store.nodes.create(nodeId, nodeRecord(nodeId, ['e1.1', 'e1.2'], { interfaces: ['eth1'], volumesMax: 7, ...differences }));
  await store.close();
}

const nodes = async (...words: string[]): Promise<Outcome> => aoeCsi('nodes', '--store', folder, ...words);

test('nodes fails where none has reported itself, and says where to look', async () => {
  const { code, out, err } = await nodes();
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(/no node has reported itself: see the log of a node plugin/);
});

test('nodes lists all, and names those that are not alive', async () => {
  await report('n1', { aliveAtMs: Date.now() });
  const well = await nodes();
  expect(well).toMatchObject({ code: 0, err: '' });
  expect(well.out.split('\n')).toEqual([
    'NODE  ALIVE  INTERFACES  SEES  STAGED  MAX',
    'n1    yes    eth1           2       0    7',
  ]);
  await report('n2', { aliveAtMs: Date.now() - HOUR_MS, interfaces: [] });
  const { code, out, err } = await nodes();
  expect([code, out.split('\n')[2]]).toEqual([1, 'n2    no     -              2       0    7']);
  expect(err).toMatch(/not alive: n2; see whether/);
  expect(JSON.parse((await nodes('--json')).out)).toMatchObject([
    { nodeId: 'n1', isAlive: true },
    { nodeId: 'n2', isAlive: false },
  ]);
});

test('nodes --unused complains of volumes that are staged, and of nothing else', async () => {
  expect(await nodes('--unused')).toMatchObject({ code: 0, err: '' });
  await report('n1', { aliveAtMs: 0 });
  expect(await nodes('--unused')).toMatchObject({ code: 0, err: '' });
  await report('n2', { aliveAtMs: 0, staged: { 'e1.1@claim': { epoch: 1, fenced: false } } });
  const { code, err } = await nodes('--unused');
  expect(code).toBe(1);
  expect(err).toMatch(/in use: e1\.1@claim on n2; end the pods/);
});

test('nodes --wait returns when all are alive', async () => {
  const waiting = nodes('--wait', '60');
  await report('n1', { aliveAtMs: Date.now() });
  expect(await waiting).toMatchObject({ code: 0, out: expect.stringContaining('n1') });
});
