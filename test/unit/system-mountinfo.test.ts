import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mountsAt, parseMountInfo } from '../../src/system/mountinfo.ts';

const LINE = '36 35 98:0 /sub /mnt/a\\040b\\134c rw,noatime shared:1 master:2 - ext4 /dev/loop3 rw,errors=continue';

describe('parseMountInfo()', () => {
  test('reads all fields and unescapes paths', () => {
    expect(parseMountInfo(LINE)).toEqual([
      {
        id: 36,
        parentId: 35,
        deviceNumber: '98:0',
        root: '/sub',
        mountPoint: '/mnt/a b\\c',
        options: ['rw', 'noatime'],
        propagation: ['shared:1', 'master:2'],
        fsType: 'ext4',
        source: '/dev/loop3',
        superOptions: ['rw', 'errors=continue'],
      },
    ]);
  });

  test('reads lines without optional fields, with any number of them, and paths that are a hyphen', () => {
    const [plain] = parseMountInfo('36 35 0:52 / /x rw - tmpfs none rw');
    expect(plain).toMatchObject({ propagation: [], fsType: 'tmpfs', source: 'none' });
    expect(parseMountInfo('36 35 0:52 - - rw - tmpfs - rw')).toMatchObject([{ root: '-', mountPoint: '-', source: '-' }]);
  });

  test('keeps UTF-8 and long paths as they are', () => {
    const path = `/${'ü/'.repeat(1300)}x`;
    expect(parseMountInfo(`36 35 0:52 / ${path} rw - tmpfs none rw`)[0].mountPoint).toBe(path);
  });

  test('leaves out what is no line of it', () => {
    for (const text of ['', '\n\n', '36 35', LINE.replace(' - ', ' '), LINE.replace('98:0', 'x'), `a${LINE}`]) {
      expect(parseMountInfo(text)).toEqual([]);
    }
    expect(parseMountInfo(`rubbish\n${LINE}\n`)).toHaveLength(1);
  });

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseMountInfo(text)));
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(' ', '-', '\n', '\\', '0', '4', ':', '/'), { maxLength: 60 }),
        (marks) => void parseMountInfo(marks.join('')),
      ),
    );
  });
});

describe('mountsAt()', () => {
  test('answers the topmost mount last', () => {
    const table = parseMountInfo(
      '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /proc rw - proc proc rw\n3 2 0:6 / /proc rw - tmpfs x rw',
    );
    expect(mountsAt(table, '/proc').map(({ fsType }) => fsType)).toEqual(['proc', 'tmpfs']);
  });
});
