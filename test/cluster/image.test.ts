import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildImage, IMAGE_BUILD_MS, IMAGE_BUILDER, type Image } from '../support/cluster-image.ts';
import { ImageContainer } from '../support/cluster-image-container.ts';
import { pathOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

const MIB = 2 ** 20;
const PROGRAMS = ['mkfs.ext4', 'e2fsck', 'resize2fs', 'mkfs.xfs', 'xfs_growfs', 'mkfs.btrfs', 'btrfs', 'blkid', 'losetup'];
const MORE_PROGRAMS = ['mount', 'umount', 'modprobe', 'setpriv', 'unshare', 'dd', 'sync', 'blkdiscard', 'nbdfuse'];

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

  test('says what it is', () => {
    const { config } = container.configuration;
    expect(config.Entrypoint).toEqual(['/usr/bin/aoe-csi']);
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'aoe-csi',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    const application = Number(container.run('du', '-sk', '/usr/lib/aoe-csi').split('\t')[0]) / 1024;
    console.log(
      `image: ${(statSync(image.archive).size / MIB).toFixed(0)} MiB, of which the program is ${application.toFixed(0)} MiB`,
    );
  });
});
