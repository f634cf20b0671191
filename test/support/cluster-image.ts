import { execFileSync } from 'node:child_process';
import { pathOf } from './repository.ts';
import { command, root, type Requirement } from './requires.ts';

/** What building images needs of the machine. */
export const IMAGE_BUILDER: readonly Requirement[] = [root(), command('buildah'), command('mmdebstrap')];

/** From nothing: Debian's packages are fetched, two images are made. Afterwards seconds, or nothing where nothing has changed. */
export const IMAGE_BUILD_MS = 900_000;

export interface Image {
  /** `localhost/aoe-csi:0.1.0` */
  readonly reference: string;
  /** A file that `ctr images import` and `buildah pull docker-archive:` take. */
  readonly archive: string;
}

/**
 * The driver's image with the sources as they are built, and what the attach backend `fuse` needs: nodes here have no nbd module.
 * @param words of tools/image.js
 */
export function buildImage(words: readonly string[] = ['--fuse']): Image {
  execFileSync(process.execPath, [pathOf('tools/bundle.js')], { stdio: ['ignore', 'ignore', 'inherit'] });
  const answer = execFileSync(process.execPath, [pathOf('tools/image.js'), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(answer.toString()) as Image;
}
