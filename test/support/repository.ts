import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top folder; this file runs as dist/test/support/repository.js. */
export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

export function pathOf(name: string): string {
  return join(repositoryRoot, name);
}

/** The file's text, by its path from the top folder. */
export function textOf(name: string): string {
  return readFileSync(pathOf(name), 'utf8');
}

/** Paths of all files that are or could be committed: what Git tracks and what it neither tracks nor ignores. */
export function repositoryFiles(): string[] {
  const command = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = execFileSync('git', command, { cwd: repositoryRoot, encoding: 'utf8' });
  // A file that was deleted but not committed yet is still listed.
  return listed.split('\0').filter((name) => name !== '' && existsSync(pathOf(name)));
}

/** `file:line: text` for every line of the files that matches, so that a failing test shows where to look. */
export function linesMatching(names: readonly string[], pattern: RegExp): string[] {
  return names.flatMap((name) =>
    textOf(name)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${name}:${index + 1}: ${line.trim()}`] : [])),
  );
}
