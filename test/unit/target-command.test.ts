import { describe, expect, test } from '@jest/globals';
import { parseExport, targetCommand } from '../../src/cli/target.ts';

describe('parseExport()', () => {
  test.each([
    ['e10.3=disk.img', { path: 'disk.img', readOnly: false, serial: undefined }],
    ['e10.3=/a=b/disk,1.img,ro', { path: '/a=b/disk,1.img', readOnly: true, serial: undefined }],
    ['e10.3=disk,serial=AB-1,ro', { path: 'disk', readOnly: true, serial: 'AB-1' }],
    ['e10.3=ro', { path: 'ro', readOnly: false, serial: undefined }],
    ['e10.3=a,ro,b', { path: 'a,ro,b', readOnly: false, serial: undefined }],
    ['e10.3=disk,serial=', { path: 'disk,serial=', readOnly: false, serial: undefined }],
  ])('reads %s', (text, expected) => {
    expect(parseExport(text)).toEqual({ address: { shelf: 10, slot: 3 }, ...expected });
  });

  test.each(['', 'disk.img', '=disk.img', 'e10.3', 'e10.3=', 'e10.256=disk', 'e65535.0=disk'])(
    'says what to write for %p',
    (text) => {
      expect(() => parseExport(text)).toThrow(/e10\.3|out of range/);
    },
  );
});

test('every option of aoe-csi target says what it does', () => {
  expect(targetCommand().options.filter(({ description }) => description === '')).toEqual([]);
});
