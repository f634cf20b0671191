import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 50;

/** What takes commands; the other side is test/cluster/guest-node.sh. */
export interface GuestShell {
  readonly running: boolean;
  /** Names the next script. */
  tell(id: string): void;
}

/**
 * Commands to a guest that is a node: scripts and what came of them are files in a folder that both see. It needs no network and no
 * program of ours, and is there as soon as the machine is up.
 */
export class GuestCommands {
  readonly #folder: string;
  #shell: GuestShell | undefined;
  #count = 0;

  /** @param exchange the folder that both see; nobody has used it for this yet */
  constructor(exchange: string) {
    this.#folder = join(exchange, 'commands');
    mkdirSync(this.#folder, { recursive: true });
  }

  /** From now on commands go to this one. */
  connect(shell: GuestShell): void {
    this.#shell = shell;
  }

  /** Runs a script of a shell, beside others. @returns what it printed @throws Error unless it succeeds */
  async run(script: string): Promise<string> {
    const shell = this.#shell;
    if (shell === undefined) throw new Error(`the machine was not started: ${script}`);
    const id = String(++this.#count);
    const path = (kind: string): string => join(this.#folder, `${id}.${kind}`);
    writeFileSync(path('command'), script);
    shell.tell(id);
    while (!existsSync(path('ended'))) {
      if (!shell.running) throw new Error(`the machine was gone before the end of: ${script}`);
      await sleep(LOOK_MS);
    }
    const code = readFileSync(path('ended'), 'utf8').trim();
    const output = readFileSync(path('output'), 'utf8');
    if (code === '0') return output;
    throw new Error(`ended with ${code}: ${script}\n${readFileSync(path('errors'), 'utf8')}${output}`);
  }
}

/** A command line as a shell takes it. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}
