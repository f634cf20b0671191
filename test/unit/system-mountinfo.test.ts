import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isCopyOf, mountsAt, parseMountInfo } from '../../src/system/mountinfo.ts';

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

  test('leaves out what lies below a folder that was mounted over', () => {
    const table = parseMountInfo(
      [
        '1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw',
        '2 1 8:1 /k /k rw shared:1 - ext4 /dev/sda1 rw',
        '4 1 43:0 / /k/staging rw shared:2 - ext4 /dev/nbd0 rw',
        '3 2 43:0 / /k/staging rw shared:2 - ext4 /dev/nbd0 rw',
        '5 4 0:7 / /k/staging/x rw - tmpfs none rw',
        '6 1 43:1 / /kk rw - ext4 /dev/nbd1 rw',
      ].join('\n'),
    );
    const idsAt = (path: string): number[] => mountsAt(table, path).map(({ id }) => id);
    expect([idsAt('/k'), idsAt('/k/staging'), idsAt('/k/staging/x'), idsAt('/kk'), idsAt('/')]).toEqual([[2], [3], [], [6], [1]]);
  });

  test('ends on a table that contradicts itself', () => {
    const table = parseMountInfo('1 2 8:1 / /a rw - ext4 x rw\n2 1 8:1 / /b rw - ext4 x rw');
    expect(mountsAt(table, '/a')).toHaveLength(1);
  });
});

describe('isCopyOf()', () => {
  const table = parseMountInfo(
    [
      '1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw',
      '2 1 8:2 / /data rw shared:7 - ext4 /dev/sdb1 rw',
      '3 1 8:2 /kubelet /var/lib/kubelet rw shared:7 - ext4 /dev/sdb1 rw',
      '4 1 8:2 /kubelet /slave rw master:7 - ext4 /dev/sdb1 rw',
      '5 3 43:0 / /var/lib/kubelet/staging rw shared:9 - ext4 /dev/nbd0 rw',
      '6 2 43:0 / /data/kubelet/staging rw shared:9 - ext4 /dev/nbd0 rw',
      '7 4 43:0 / /slave/staging rw master:9 - ext4 /dev/nbd0 rw',
      '8 3 43:0 / /var/lib/kubelet/pods/1 rw shared:9 - ext4 /dev/nbd0 rw',
      '9 1 43:0 / /mnt rw shared:9 - ext4 /dev/nbd0 rw',
    ].join('\n'),
  );

  test('is true where one folder is seen in two places, and false for every other mount of the same device', () => {
    const [original] = mountsAt(table, '/var/lib/kubelet/staging');
    const copies = table.filter((mount) => mount !== original && isCopyOf(table, mount, original));
    expect(copies.map(({ id }) => id)).toEqual([6, 7]);
  });

  test('is false where mounts do not travel', () => {
    const [root, at] = parseMountInfo('1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 43:0 / /a rw - ext4 /dev/nbd0 rw');
    expect([isCopyOf([root, at], at, at), isCopyOf([root, at], at, root)]).toEqual([false, false]);
  });
});
