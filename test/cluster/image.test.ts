import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildImage, IMAGE_BUILD_MS, IMAGE_BUILDER, type Image } from '../support/cluster-image.ts';
import { pathOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

/** The image as a container runtime gets it: from its archive, in a storage of its own. */

const MIB = 2 ** 20;
const PROGRAMS = ['mkfs.ext4', 'e2fsck', 'resize2fs', 'mkfs.xfs', 'xfs_growfs', 'mkfs.btrfs', 'btrfs', 'blkid', 'losetup'];
const MORE_PROGRAMS = ['mount', 'umount', 'modprobe', 'setpriv', 'unshare', 'dd', 'sync', 'blkdiscard', 'nbdfuse'];

describeIf(IMAGE_BUILDER, 'the image', () => {
  let folder: string;
  let image: Image;
  let container: string;

  const buildah = (...words: readonly string[]): string => {
    const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
    return execFileSync('buildah', [...storage, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  };
  const inContainer = (...words: readonly string[]): string => buildah('run', '--isolation', 'chroot', container, '--', ...words);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'aoe-csi-image-'));
    image = buildImage();
    container = buildah('from', `docker-archive:${image.archive}`);
  }, IMAGE_BUILD_MS);
  afterAll(() => {
    buildah('rm', '--all');
    rmSync(folder, { recursive: true, force: true });
  });

  test('runs the program, and is nobody unless it is told otherwise', () => {
    const { version } = JSON.parse(readFileSync(pathOf('package.json'), 'utf8')) as { version: string };
    expect(inContainer('aoe-csi', '--version')).toBe(version);
    for (const daemon of ['initiator', 'node', 'controller']) {
      expect(inContainer('aoe-csi', daemon, '--help')).toContain(`Usage: aoe-csi ${daemon}`);
    }
    expect(inContainer('id', '-u')).toBe('65532');
  });

  test('has the programs that a node plugin calls', () => {
    const search = 'for each in "$@"; do command -v "$each" >/dev/null || echo "$each"; done';
    expect(inContainer('sh', '-c', search, 'sh', ...PROGRAMS, ...MORE_PROGRAMS)).toBe('');
  });

  test('says what it is', () => {
    const { OCIv1 } = JSON.parse(buildah('inspect', container)) as {
      OCIv1: { config: { Labels: Record<string, string>; Entrypoint: string[] } };
    };
    expect(OCIv1.config.Entrypoint).toEqual(['/usr/bin/aoe-csi']);
    expect(OCIv1.config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'aoe-csi',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    const application = Number(inContainer('du', '-sk', '/usr/lib/aoe-csi').split('\t')[0]) / 1024;
    console.log(
      `image: ${(statSync(image.archive).size / MIB).toFixed(0)} MiB, of which the program is ${application.toFixed(0)} MiB`,
    );
  });
});
