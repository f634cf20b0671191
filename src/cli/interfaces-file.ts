import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../logging/logger.ts';
import { splitNames } from './options.ts';

/** By looking, not by inotify: that sees neither a ConfigMap's exchanged links nor files on every file system. */
const LOOK_MS = 1_000;

/**
 * A list of interfaces in a file, which may change: names or patterns, separated by spaces, commas or line ends; `#` begins a comment.
 */
export class InterfacesFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws Error when it can't be read */
  read(): string[] {
    const lines = readFileSync(this.#path, 'utf8').split('\n');
    return lines.flatMap((line) => splitNames(line.replace(/#.*/, '')));
  }

  /** Hands over the list whenever it has changed. A file that can't be read, or holds nonsense, changes nothing. */
  watch(apply: (names: readonly string[]) => Promise<void>, logger: Logger): void {
    let before = this.read().join(' ');
    const look = async (): Promise<void> => {
      const names = this.read();
      if (names.join(' ') === before) return;
      before = names.join(' ');
      await apply(names);
      logger.info(`interfaces from ${this.#path}: ${names.length === 0 ? 'none' : before}`);
    };
    watchFile(this.#path, { interval: LOOK_MS, persistent: false }, () => {
      look().catch((error: unknown) => {
        logger.warn(`the interfaces in ${this.#path} can't be used, the old ones stay: ${(error as Error).message}`);
      });
    });
  }

  close(): void {
    unwatchFile(this.#path);
  }
}
