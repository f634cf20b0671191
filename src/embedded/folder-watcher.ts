import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { systemNameOf } from './disk-failure.ts';
import { fileNameOf, recordNameOf } from './record-file.ts';

type Listener = (names: readonly string[]) => void;

/** A change in a folder that happens in the same tick of the file system's clock as another leaves no trace in its time. */
const CLOCK_TICK_NS = 100_000_000n;

/**
 * Tells which records of a folder have changed, by whatever process. The kernel's notifications make it quick; looking at the
 * folder now and then makes it certain, where notifications are not to be had (limits, network file systems) or get lost.
 */
export class FolderWatcher {
  readonly #folder: string;
  readonly #pollMs: number;
  readonly #onProblem: (message: string) => void;
  readonly #listeners = new Set<Listener>();
  readonly #pending = new Set<string>();
  /** What each record's file looked like when it was last told about. */
  #stamps = new Map<string, string>();
  /** The folder's time of change at the last scan, and whether it was old enough to tell a later change. */
  #scannedNs = -1n;
  /** Why the folder can't be looked at: said once. */
  #complaint = '';
  #notifications: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(folder: string, pollMs: number, onProblem: (message: string) => void) {
    this.#folder = folder;
    this.#pollMs = pollMs;
    this.#onProblem = onProblem;
  }

  /** `listener` must not throw. It hears of every change from now on, never before this returns. Returns how to stop. */
  watch(listener: Listener): () => void {
    // The same function may watch twice: each time it is another listener.
    const own: Listener = (names) => listener(names);
    if (this.#listeners.size === 0) this.#start();
    this.#listeners.add(own);
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) this.#stop();
    };
  }

  /** Nobody hears anything any more. */
  close(): void {
    this.#listeners.clear();
    this.#stop();
  }

  #start(): void {
    this.#notifications = this.#openNotifications();
    this.#look(() => undefined);
    this.#poll = setInterval(() => this.#look((name) => this.#note(name)), this.#pollMs);
  }

  #stop(): void {
    this.#notifications?.close();
    this.#notifications = undefined;
    clearInterval(this.#poll);
    this.#pending.clear();
    this.#stamps.clear();
    this.#scannedNs = -1n;
  }

  #openNotifications(): FSWatcher | undefined {
    try {
      const notifications = watch(this.#folder, (_event, fileName) => {
        const name = fileName === null ? undefined : recordNameOf(fileName);
        if (name !== undefined) this.#note(name);
      });
      notifications.on('error', (error) => this.#doWithout(error));
      return notifications;
    } catch (error) {
      this.#doWithout(error);
      return undefined;
    }
  }

  #doWithout(error: unknown): void {
    this.#notifications?.close();
    this.#notifications = undefined;
    this.#onProblem(
      `no notifications of changes in ${this.#folder} (${systemNameOf(error)}): it is looked at every ${this.#pollMs} ms instead; ` +
        'raise fs.inotify.max_user_watches and max_user_instances if many programs watch files here',
    );
  }

  /** Remembers a change; several at once are told together. */
  #note(name: string): void {
    if (this.#pending.size === 0) setImmediate(() => this.#tell());
    this.#pending.add(name);
  }

  #tell(): void {
    const names = [...this.#pending];
    this.#pending.clear();
    for (const name of names) this.#remember(name);
    if (names.length > 0) for (const listener of this.#listeners) listener(names);
  }

  #remember(name: string): void {
    const stamp = this.#stampOf(fileNameOf(name) ?? name);
    if (stamp === undefined) this.#stamps.delete(name);
    else this.#stamps.set(name, stamp);
  }

  /** A folder that is away, or on a disk that is lost, may come back: what has changed meanwhile is told then. */
  #look(found: (name: string) => void): void {
    try {
      this.#scan(found);
      this.#complaint = '';
    } catch (error) {
      const complaint = `cannot look for changes in ${this.#folder} (${systemNameOf(error)}); trying again`;
      if (complaint !== this.#complaint) this.#onProblem(complaint);
      this.#complaint = complaint;
    }
  }

  /** Looks at all files, if the folder says that there may be something new, and calls back for each record that is. */
  #scan(found: (name: string) => void): void {
    const changedNs = statSync(this.#folder, { bigint: true }).mtimeNs;
    if (changedNs === this.#scannedNs) return;
    const isSettled = BigInt(Date.now()) * 1_000_000n - changedNs > CLOCK_TICK_NS;
    const stamps = this.#allStamps();
    this.#scannedNs = isSettled ? changedNs : -1n;
    for (const [name, stamp] of stamps) if (this.#stamps.get(name) !== stamp) found(name);
    for (const name of this.#stamps.keys()) if (!stamps.has(name)) found(name);
    this.#stamps = stamps;
  }

  #allStamps(): Map<string, string> {
    const stamps = new Map<string, string>();
    for (const fileName of readdirSync(this.#folder)) {
      const name = recordNameOf(fileName);
      const stamp = name === undefined ? undefined : this.#stampOf(fileName);
      if (name !== undefined && stamp !== undefined) stamps.set(name, stamp);
    }
    return stamps;
  }

  /** Another text for every file that was ever renamed to this name; undefined when there is none. Never throws. */
  #stampOf(fileName: string): string | undefined {
    try {
      const stat = statSync(join(this.#folder, fileName), { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? undefined : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
    } catch (error) {
      return systemNameOf(error);
    }
  }
}
