import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { NbdBackend } from '../../src/initiator/attach/nbd.ts';
import {
  newIdentifier,
  readNbdRecords,
  removeNbdRecord,
  writeNbdRecord,
  type NbdRecord,
} from '../../src/initiator/attach/nbd-record.ts';
import { RunDirectory } from '../../src/initiator/run-directory.ts';
import { bootId } from '../../src/system/boot-id.ts';

/** What the initiator remembers of the kernel's devices, and what it makes of it when none of them is there any more. */

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-nbd-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function record(name: string, boot = bootId()): NbdRecord {
  const slot = Number(name.split('.')[1]);
  const limits = { readOnly: false, deadSeconds: 0, maxOutstanding: 128, interfaces: undefined };
  const request = { shelf: 10, slot, socketPath: `/run/x/${name}.sock`, ...limits };
  const disk = { sectors: 2 ** 31, serial: 's', model: 'm' };
  return { name, request, ...disk, blockBytes: 512, identifier: newIdentifier(name), bootId: boot };
}

test('newIdentifier() is another one each time, and names the volume', () => {
  const [first, second] = [newIdentifier('e10.3'), newIdentifier('e10.3')];
  expect(first).toMatch(/^aoe-csi\/e10\.3\/[0-9a-f]{16}$/);
  expect(second).not.toBe(first);
});

test('writeNbdRecord() and readNbdRecords() keep everything, for root only', async () => {
  const [one, other] = [record('e10.3'), record('e10.4')];
  await writeNbdRecord(folder, record('e10.3'));
  await writeNbdRecord(folder, one);
  await writeNbdRecord(folder, other);
  expect(readNbdRecords(folder)).toEqual({ records: [one, other], problems: [] });
  expect(statSync(join(folder, 'e10.3.json')).mode & 0o777).toBe(0o600);
  await removeNbdRecord(folder, 'e10.3');
  await removeNbdRecord(folder, 'e10.3');
  expect(readNbdRecords(folder).records).toEqual([other]);
});

test.each([
  ['no JSON', '{"name":'],
  ['null', 'null'],
  ['an empty object', '{}'],
  ['a record of another name', JSON.stringify(record('e10.4'))],
  ['sectors that are no number', JSON.stringify({ ...record('e10.3'), sectors: '8' })],
  ['no request', JSON.stringify({ ...record('e10.3'), request: undefined })],
])('readNbdRecords() names a file that holds %s, and leaves it alone', (_, text) => {
  writeFileSync(join(folder, 'e10.3.json'), text);
  const { records, problems } = readNbdRecords(folder);
  expect(records).toEqual([]);
  expect(problems).toEqual([expect.stringContaining(`${join(folder, 'e10.3.json')} is no record of a device`)]);
  expect(readdirSync(folder)).toEqual(['e10.3.json']);
});

test('removeLeftovers() drops records of another boot, and of devices that are gone', async () => {
  await writeNbdRecord(folder, record('e10.3', 'another boot'));
  await writeNbdRecord(folder, record('e10.4'));
  const backend = new NbdBackend(folder, () => undefined);
  expect(await backend.removeLeftovers()).toEqual([
    'e10.3 was attached by an earlier initiator, but the machine has been started anew since',
    'e10.4 was attached by an earlier initiator, but its device has been disconnected',
  ]);
  expect([backend.survivors(), readdirSync(folder)]).toEqual([[], []]);
});

test('RunDirectory keeps records in a folder of its own that only root may enter', () => {
  const directory = new RunDirectory(join(folder, 'run'));
  expect(statSync(directory.kernel).mode & 0o777).toBe(0o700);
});
