import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EtherdLinks } from '../../src/initiator/attach/etherd-links.ts';
import { staticIndex } from '../../src/initiator/attach/static-index.ts';

describe('EtherdLinks', () => {
  let root: string;
  let folder: string;
  let records: string;
  let notices: string[];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'aoe-csi-'));
    folder = join(root, 'dev/etherd');
    records = join(root, 'records');
    mkdirSync(records);
    notices = [];
  });

  afterEach(() => rmSync(root, { recursive: true }));

  /** Those of another initiator that starts, or of the first one. */
  function started(where: string | undefined = folder): EtherdLinks {
    const notice = (name: string, text: string): void => void notices.push(`${name}: ${text}`);
    return new EtherdLinks({ folder: where, records, partitions: false, notice });
  }

  /** All that is in the folder, links with what they say. */
  function present(): string[] {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => (entry.isSymbolicLink() ? `${entry.name} -> ${readlinkSync(join(folder, entry.name))}` : entry.name))
      .toSorted();
  }

  test('set() makes a link and remove() removes it', () => {
    const links = started();
    links.set('e10.3', '/dev/nbd0');
    links.set('e10.31', '/dev/nbd1');
    expect(present()).toEqual(['e10.3 -> /dev/nbd0', 'e10.31 -> /dev/nbd1']);
    links.remove('e10.3');
    expect(present()).toEqual(['e10.31 -> /dev/nbd1']);
    links.remove('e10.3');
    expect([readdirSync(records), notices]).toEqual([['e10.31'], []]);
  });

  test('set() replaces its own link when the volume has another device, and removed ones come back', () => {
    const links = started();
    links.set('e10.3', '/dev/nbd0');
    links.set('e10.3', '/dev/nbd5');
    expect(present()).toEqual(['e10.3 -> /dev/nbd5']);
    rmSync(join(folder, 'e10.3'));
    links.set('e10.3', '/dev/nbd5');
    expect([present(), notices]).toEqual([['e10.3 -> /dev/nbd5'], []]);
  });

  test('removeStale() removes what an earlier one has left, and keeps and mends what is taken up', () => {
    const earlier = started();
    for (const [index, name] of ['e10.3', 'e10.4', 'e10.5'].entries()) earlier.set(name, `/dev/nbd${String(index)}`);
    rmSync(join(folder, 'e10.5'));
    const later = started();
    later.set('e10.3', '/dev/nbd0');
    later.set('e10.5', '/dev/nbd2');
    later.removeStale();
    expect(present()).toEqual(['e10.3 -> /dev/nbd0', 'e10.5 -> /dev/nbd2']);
    expect([readdirSync(records).toSorted(), notices]).toEqual([['e10.3', 'e10.5'], []]);
  });

  test('nothing that others have made is touched, and it is said that it is in the way', () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'e10.3'), "another's");
    symlinkSync('/dev/nbd7', join(folder, 'e10.4'));
    symlinkSync('/dev/nbd2', join(folder, 'e10.5'));
    const links = started();
    for (const [index, name] of ['e10.3', 'e10.4', 'e10.5'].entries()) links.set(name, `/dev/nbd${String(index)}`);
    for (const name of ['e10.3', 'e10.4', 'e10.5']) links.remove(name);
    started().removeStale();
    expect(present()).toEqual(['e10.3', 'e10.4 -> /dev/nbd7', 'e10.5 -> /dev/nbd2']);
    expect(readFileSync(join(folder, 'e10.3'), 'utf8')).toBe("another's");
    expect(notices).toEqual(
      ['e10.3', 'e10.4', 'e10.5'].map((name) => expect.stringMatching(`^${name}: cannot link .*something that is not ours`)),
    );
  });

  test("a link of ours that somebody has replaced is somebody's", () => {
    const links = started();
    links.set('e10.3', '/dev/nbd0');
    rmSync(join(folder, 'e10.3'));
    symlinkSync('/dev/sda', join(folder, 'e10.3'));
    links.remove('e10.3');
    expect([present(), readdirSync(records)]).toEqual([['e10.3 -> /dev/sda'], []]);
  });

  test('a record whose link was never made is removed', () => {
    symlinkSync('/dev/nbd0', join(records, 'e10.3'));
    started().removeStale();
    expect([readdirSync(records), notices]).toEqual([[], []]);
  });

  test('links of partitions go with their volume, and with no other', () => {
    const earlier = started();
    for (const name of ['e10.3', 'e10.3p1', 'e10.3p12', 'e10.31']) earlier.set(name, `/dev/x-${name}`);
    const links = started();
    links.set('e10.31', '/dev/x-e10.31');
    links.removeStale();
    expect(present()).toEqual(['e10.31 -> /dev/x-e10.31']);
  });

  test('a folder that cannot be made is a notice', () => {
    writeFileSync(join(root, 'dev'), '');
    started().set('e10.3', '/dev/nbd0');
    expect(notices).toEqual([expect.stringMatching(/^e10\.3: cannot link .*dev\/etherd\/e10\.3 to \/dev\/nbd0: ENOTDIR/)]);
    expect(readdirSync(records)).toEqual([]);
  });

  test('without a folder there is nothing', () => {
    const links = new EtherdLinks({ folder: undefined, records, partitions: false, notice: () => undefined });
    links.set('e10.3', '/dev/nbd0');
    links.removeStale();
    expect([existsSync(folder), readdirSync(records)]).toEqual([false, []]);
  });
});

describe('staticIndex()', () => {
  test.each([
    [0, 0, 0],
    [10, 3, 163],
    [10, 15, 175],
    [11, 0, 176],
    [65_534, 15, 1_048_559],
  ])('e%d.%d has index %d', (shelf, slot, index) => {
    expect(staticIndex(shelf, slot)).toBe(index);
  });

  test('slots beyond a shelf are refused', () => {
    expect(() => staticIndex(10, 16)).toThrow('e10.16 has no static minor: only slots 0 to 15 have');
  });
});
