import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeState, encodeState, StateFile, StateFileError } from '../../src/target/state-file.ts';
import type { DeviceState } from '../../src/target/state.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const STATE: DeviceState = {
  serial: 'S',
  configString: new Uint8Array([0, 255, 34]),
  mask: [0x0200_0000_0001],
  reserved: [0xffff_ffff_fffe, 1],
};

describe('StateFile', () => {
  test('load() makes a serial once when there is no file, and returns it ever after', () => {
    const path = join(folder, 'disk.aoe');
    const first = new StateFile(path, { mask: [7] }).load();
    expect(first).toMatchObject({ serial: expect.stringMatching(/^[0-9a-f]{20}$/) as unknown, mask: [7], reserved: [] });
    expect(new StateFile(path, { mask: [] }).load()).toEqual(first);
    expect(new StateFile(path, { mask: [], serial: 'other' }).load()).toEqual(first);
  });

  test('load() returns what was saved, and save() leaves nothing else behind', () => {
    const path = join(folder, 'disk.aoe');
    new StateFile(path, { mask: [] }).save(STATE);
    expect(new StateFile(path, { mask: [] }).load()).toEqual(STATE);
    expect(readdirSync(folder)).toEqual(['disk.aoe']);
  });

  test('a half-written successor does no harm', () => {
    const path = join(folder, 'disk.aoe');
    new StateFile(path, { mask: [] }).save(STATE);
    writeFileSync(`${path}.new`, '{"version":');
    expect(new StateFile(path, { mask: [] }).load()).toEqual(STATE);
    new StateFile(path, { mask: [] }).save({ ...STATE, serial: 'T' });
    expect(new StateFile(path, { mask: [] }).load().serial).toBe('T');
  });

  test('load() keeps and names a file that it does not understand', () => {
    const path = join(folder, 'disk.aoe');
    writeFileSync(path, 'not JSON');
    expect(() => new StateFile(path, { mask: [] }).load()).toThrow(StateFileError);
    expect(() => new StateFile(path, { mask: [] }).load()).toThrow(/disk\.aoe: .*; repair it, or delete it/);
    expect(readFileSync(path, 'utf8')).toBe('not JSON');
  });

  test('save() says what to do when the folder is not there', () => {
    const file = new StateFile(join(folder, 'gone', 'disk.aoe'), { mask: [] });
    expect(() => file.load()).toThrow(/ENOENT; name a folder that can be written with --state-dir/);
  });
});

describe('decodeState()', () => {
  test('returns what encodeState() was given', () => {
    const macs = fc.array(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { maxLength: 128, size: 'max' });
    const states = fc.record({
      serial: fc.stringMatching(/^[ -~]{1,20}$/),
      configString: fc.uint8Array({ maxLength: 1024, size: 'max' }).map((bytes) => new Uint8Array(bytes)),
      mask: macs,
      reserved: macs,
    });
    fc.assert(fc.property(states, (state) => expect(decodeState(encodeState(state))).toEqual(state)));
  });

  test.each([
    [{ version: 2 }, 'version'],
    [{ serial: '' }, 'serial'],
    [{ serial: 'x'.repeat(21) }, 'serial'],
    [{ configString: 'not base64!' }, 'configString'],
    [{ configString: Buffer.alloc(1025).toString('base64') }, 'configString'],
    [{ mask: ['02:00'] }, 'MAC address'],
    [{ mask: new Array(129).fill('02:00:00:00:00:01') }, 'mask'],
    [{ reserved: {} }, 'reserved'],
  ])('names the field when it is %p', (change, named) => {
    const text = JSON.stringify({ ...(JSON.parse(encodeState(STATE)) as object), ...change });
    expect(() => decodeState(text)).toThrow(named);
  });
});
