import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/embedded/directory-store.ts';
import type { Store } from '../../src/volumes/store.ts';
import type { StoreLaboratory } from './store-conformance.ts';
import type { StoreOpener } from './store-process.ts';

/** For store-worker.ts. */
export async function openStore(directory: string): Promise<Store> {
  return DirectoryStore.open(directory);
}

/** Memory where there is such a place: thousands of records on a disk take minutes of a test's time. */
export const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory store in a directory of its own. */
export class EmbeddedLaboratory implements StoreLaboratory {
  readonly directory: string;
  readonly opener: StoreOpener;
  readonly problems: string[] = [];
  readonly #opened: DirectoryStore[] = [];

  constructor(parent = tmpdir()) {
    this.directory = realpathSync(mkdtempSync(join(parent, 'aoe-csi-store-')));
    this.opener = { module: import.meta.url, argument: this.directory };
  }

  async open(): Promise<DirectoryStore> {
    const store = await DirectoryStore.open(this.directory, { onProblem: (message) => void this.problems.push(message) });
    this.#opened.push(store);
    return store;
  }

  /** The file of a target's record. */
  fileOf(name: string): string {
    return join(this.directory, 'targets', `${name}.json`);
  }

  async remove(): Promise<void> {
    await Promise.all(this.#opened.map(async (store) => store.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
