import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildImage, IMAGE_BUILD_MS, IMAGE_BUILDER, type Image } from '../support/cluster-image.ts';
import { ImageContainer } from '../support/cluster-image-container.ts';
import { pathOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const PROGRAMS = [
  'mkfs.ext4',
  'e2fsck',
  'resize2fs',
  'mkfs.xfs',
  'xfs_growfs',
  'mkfs.btrfs',
  'btrfs',
  'blkid',
  'wipefs',
  'losetup',
];
const MORE_PROGRAMS = [
  'mount',
  'umount',
  'modprobe',
  'setpriv',
  'unshare',
  'dd',
  'stat',
  'sync',
  'blockdev',
  'blkdiscard',
  'nbdfuse',
];
/** Unpacked, without what only the attach backend `fuse` needs. */
const MIB_MAX = 160;

describeIf(IMAGE_BUILDER, 'the image', () => {
  let image: Image;
  let container: ImageContainer;

  beforeAll(() => {
    image = buildImage();
    container = new ImageContainer(image.archive);
  }, IMAGE_BUILD_MS);
  afterAll(() => container?.remove());

  test('runs the program, and is nobody unless it is told otherwise', () => {
    const { version } = JSON.parse(readFileSync(pathOf('package.json'), 'utf8')) as { version: string };
    expect(container.run('aoe-csi', '--version')).toBe(version);
    for (const daemon of ['initiator', 'node', 'controller']) {
      expect(container.run('aoe-csi', daemon, '--help')).toContain(`Usage: aoe-csi ${daemon}`);
    }
    expect(container.run('id', '-u')).toBe('65532');
  });

  test('has the programs that a node plugin calls', () => {
    const search = 'for each in "$@"; do command -v "$each" >/dev/null || echo "$each"; done';
    expect(container.run('sh', '-c', search, 'sh', ...PROGRAMS, ...MORE_PROGRAMS)).toBe('');
  });

  test('has no program that finds a library missing', () => {
    const search =
      'for each in /usr/bin/* /usr/sbin/*; do [ -x "$each" ] || echo "$each"; "$LOADER" --list "$each" 2>&1 | grep "not found"; done; :';
    const loader = container
      .run('sh', '-c', 'echo /lib64/ld-linux-*.so.? /lib/ld-linux-*.so.?')
      .split(' ')
      .find((path) => !path.includes('*'));
    expect(container.run('env', `LOADER=${String(loader)}`, 'sh', '-c', search)).toBe('');
  });

  test('makes file systems, and looks at them', () => {
    const make = [
      'dd if=/dev/zero of=/tmp/disk bs=1M count=0 seek=320 2>/dev/null',
      '"mkfs.$1" -q /tmp/disk >/dev/null',
      'blkid -o value -s TYPE /tmp/disk',
    ];
    for (const type of ['ext4', 'xfs', 'btrfs']) {
      expect(container.run('sh', '-ec', [...make, 'rm /tmp/disk'].join('; '), 'sh', type)).toBe(type);
    }
  });

  test('tells which of Debian’s packages it has something of', () => {
    const status = container.run('cat', '/var/lib/dpkg/status');
    const packages = [...status.matchAll(/^Package: (.*)$/gm)].map(([, name]) => name);
    expect(packages).toEqual(
      expect.arrayContaining([
        'libc6',
        'libssl3',
        'libblkid1',
        'e2fsprogs',
        'xfsprogs',
        'btrfs-progs',
        'kmod',
        'mount',
        'util-linux',
      ]),
    );
    expect(packages).not.toContain('apt');
  });

  test('says what it is', () => {
    const { config } = container.configuration;
    expect(config.Entrypoint).toEqual(['/usr/bin/aoe-csi']);
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'aoe-csi',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    const application = Number(container.run('du', '-sk', '/usr/lib/aoe-csi').split('\t')[0]) / 1024;
    const mib = (path: string): number => statSync(path).size / MIB;
    const plain = mib(buildImage([]).archive);
    console.log(
      `image: ${plain.toFixed(0)} MiB, ${mib(image.archive).toFixed(0)} with nbdfuse; of which the program is ${application.toFixed(0)} MiB`,
    );
    expect(plain).toBeLessThan(MIB_MAX);
  });
});
