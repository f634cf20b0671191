import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../src/system/programs.ts';
import type { NodeLaboratory } from './node-laboratory.ts';

/** A program that the node plugin finds in place of the system's: tells how it was called, does what a test wants, and then the same. */
export class ProgramInFront {
  readonly #calls: string;
  readonly #folder: string;

  /** @param script in sh(1), with the program's words; it may `exec` something else instead */
  constructor(lab: NodeLaboratory, name: string, script = '') {
    this.#folder = lab.folder('programs');
    this.#calls = join(this.#folder, `${name}.calls`);
    const path = join(this.#folder, name);
    const real = findProgram(name) ?? name;
    writeFileSync(path, `#!/bin/sh\necho "$*" >>'${this.#calls}'\n${script}\nexec '${real}' "$@"\n`);
    chmodSync(path, 0o755);
  }

  /** For the node plugin. */
  get environment(): Readonly<Record<string, string>> {
    return { PATH: `${this.#folder}:${process.env['PATH'] ?? ''}` };
  }

  /** Words of each call so far. */
  get calls(): string[] {
    return existsSync(this.#calls) ? readFileSync(this.#calls, 'utf8').trimEnd().split('\n') : [];
  }
}
