import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder, UNFINISHED, writeDurably } from '../system/durable-file.ts';
import { VolumeError } from '../volumes/errors.ts';
import { nodeRecordProblem, targetRecordProblem } from '../volumes/record-check.ts';
import type { NodeRecord, TargetRecord } from '../volumes/records.ts';
import type { NodeTasks, Store } from '../volumes/store.ts';
import { DirectoryCollection, type CollectionParts } from './directory-collection.ts';
import { readFailure, systemNameOf, writeFailure } from './disk-failure.ts';
import { FolderWatcher } from './folder-watcher.ts';
import { StoreLock } from './store-lock.ts';

/** How often a watched folder is looked at in case a notification was lost. */
const POLL_MS = 2_000;
/** How often all records are read for tasks: notifications of folders can be lost, and some file systems have none. */
const RESCAN_MS = 10_000;
const FOLDER_MODE = 0o700;
const FOLDERS = ['targets', 'nodes'] as const;

export interface DirectoryStoreOptions {
  /** Whose the store is: written into a new one, and compared with what is there. Left out by those who only look. */
  readonly clusterId?: string;
  /** Hears what a person should know and no caller is told: damaged records that a listing left out, watching without notifications. */
  readonly onProblem?: (message: string) => void;
  /** Milliseconds between looks at a watched folder; 2,000 where it is left out. */
  readonly pollMs?: number;
}

/**
 * The store of the demo, the tests and orchestrators other than Kubernetes: a directory that all processes of one machine share.
 *
 * ```
 * <directory>/lock                 held by the one who writes
 *             cluster-id           whose it is
 *             targets/e10.3.json   one record, with its version; replaced as a whole
 *             nodes/node-1.json
 * ```
 *
 * Any process may be killed at any instant: each record is then as it was before or after one write, and the next one to open
 * the store removes what was left over.
 */
export class DirectoryStore implements Store {
  readonly targets: DirectoryCollection<TargetRecord>;
  readonly nodes: DirectoryCollection<NodeRecord>;
  readonly #lock: StoreLock;

  /**
   * Opens the store in `directory`, and makes it where there is none.
   * @throws VolumeError `unavailable` when the directory can't be made or written; `failed-precondition` when it is another cluster's
   */
  static async open(directory: string, options: DirectoryStoreOptions = {}): Promise<DirectoryStore> {
    const path = resolve(directory);
    const lock = new StoreLock(join(path, 'lock'));
    try {
      for (const folder of FOLDERS) await mkdir(join(path, folder), { recursive: true, mode: FOLDER_MODE });
      await syncFolder(path);
      await syncFolder(dirname(path));
    } catch (error) {
      throw new VolumeError(
        'unavailable',
        `cannot open the store in ${path}: ${systemNameOf(error)}; name a folder that can be written, and has room`,
      );
    }
    await lock.run(async () => {
      await removeLeftovers(path);
      if (options.clusterId !== undefined) await requireCluster(path, options.clusterId);
    });
    return new DirectoryStore(path, lock, options);
  }

  private constructor(path: string, lock: StoreLock, { onProblem = () => undefined, pollMs = POLL_MS }: DirectoryStoreOptions) {
    this.#lock = lock;
    const partsOf = (name: (typeof FOLDERS)[number], problemOf: CollectionParts['problemOf']): CollectionParts => {
      const folder = join(path, name);
      return { folder, lock, watcher: new FolderWatcher(folder, pollMs, onProblem), problemOf, onProblem };
    };
    this.targets = new DirectoryCollection(partsOf('targets', targetRecordProblem));
    this.nodes = new DirectoryCollection(partsOf('nodes', nodeRecordProblem));
  }

  tasksAt(nodeId: string): NodeTasks {
    return {
      list: async () => (await this.targets.list()).filter(({ value }) => value.task?.nodeId === nodeId),
      watch: (changed) => this.targets.watch(changed),
      rescanMs: RESCAN_MS,
    };
  }

  /** Ends watching and waits for writes under way; later calls are refused. */
  async close(): Promise<void> {
    this.targets.close();
    this.nodes.close();
    await this.#lock.idle();
  }
}

/** With another cluster id, all claims of ours on the storage network would look like strangers', and all names be free again. */
async function requireCluster(path: string, clusterId: string): Promise<void> {
  const file = join(path, 'cluster-id');
  const found = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as { code?: string }).code === 'ENOENT') return '';
    throw readFailure(file, error);
  });
  if (found === '') {
    await writeDurably(file, `${clusterId}\n`).catch((error: unknown) => {
      throw writeFailure(`write ${file}`, error);
    });
  } else if (found !== `${clusterId}\n`) {
    const owner = found.trimEnd();
    throw new VolumeError(
      'failed-precondition',
      `cannot use the store in ${path} for cluster ${clusterId}: it is cluster ${owner}'s, and a cluster's id never changes; ` +
        `give --cluster-id ${owner}, or another folder`,
    );
  }
}

/** Files that writers were killed over. Needs the lock: another writer's would be among them. */
async function removeLeftovers(path: string): Promise<void> {
  for (const folder of FOLDERS) {
    for (const fileName of await readdir(join(path, folder))) {
      if (fileName.endsWith(UNFINISHED)) await rm(join(path, folder, fileName), { force: true });
    }
  }
}
