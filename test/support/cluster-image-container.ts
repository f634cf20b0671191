import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What tests look at of an image's configuration. */
export interface ImageConfiguration {
  readonly architecture: string;
  readonly config: { readonly Labels: Readonly<Record<string, string>>; readonly Entrypoint: readonly string[] };
}

/** An image as a container runtime gets it: from its archive, in a storage of its own. */
export class ImageContainer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'aoe-csi-image-'));
  readonly #name: string;

  /** @param archive of `docker save`'s format */
  constructor(archive: string) {
    this.#name = this.#buildah('from', `docker-archive:${archive}`);
  }

  /** Runs a command line in it and returns what it prints. @throws Error unless it succeeds */
  run(...words: readonly string[]): string {
    return this.#buildah('run', '--isolation', 'chroot', this.#name, '--', ...words);
  }

  get configuration(): ImageConfiguration {
    return (JSON.parse(this.#buildah('inspect', this.#name)) as { OCIv1: ImageConfiguration }).OCIv1;
  }

  remove(): void {
    this.#buildah('rm', '--all');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #buildah(...words: readonly string[]): string {
    const storage = ['--root', join(this.#folder, 'storage'), '--runroot', join(this.#folder, 'run'), '--storage-driver', 'vfs'];
    return execFileSync('buildah', [...storage, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  }
}
