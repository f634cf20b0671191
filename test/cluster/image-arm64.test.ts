import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { emulateArm64, EMULATION } from '../support/cluster-emulation.ts';
import { buildImage, IMAGE_BUILD_MS, IMAGE_BUILDER } from '../support/cluster-image.ts';
import { ImageContainer } from '../support/cluster-image-container.ts';
import { pathOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

/** Calls the C library through koffi, as `src/system` does. */
const CALL = `import koffi from '/usr/lib/aoe-csi/node_modules/koffi/index.js';
console.log(process.arch, koffi.load(null).func('int getpid()')() === process.pid)`;

describeIf([...IMAGE_BUILDER, ...EMULATION], 'the image for arm64', () => {
  let end = (): void => undefined;
  let container: ImageContainer | undefined;

  beforeAll(() => {
    end = emulateArm64();
    container = new ImageContainer(buildImage(['--fuse', '--arch', 'arm64']).archive);
  }, IMAGE_BUILD_MS);
  afterAll(() => {
    container?.remove();
    end();
  });

  test('runs the program, and calls of the system', () => {
    const { version } = JSON.parse(readFileSync(pathOf('package.json'), 'utf8')) as { version: string };
    expect(container?.configuration.architecture).toBe('arm64');
    expect(container?.run('uname', '-m')).toBe('aarch64');
    expect(container?.run('aoe-csi', '--version')).toBe(version);
    expect(container?.run('node', '--input-type=module', '--eval', CALL)).toBe('arm64 true');
    expect(container?.run('mkfs.xfs', '-V')).toMatch(/^mkfs\.xfs version /);
  });
});
