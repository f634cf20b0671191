import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const OUTPUT = 'dist';

/** The commands that compile the sources into dist/; fast enough (under a second) to run before every job. */
export function buildSources() {
  removeOrphans();
  return [{ file: 'node', args: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'] }];
}

/** Deletes emitted files whose source is gone: Jest would go on running the tests among them. */
function removeOrphans() {
  if (!existsSync(OUTPUT)) return;
  for (const emitted of readdirSync(OUTPUT, { recursive: true })) {
    const source = emitted.replace(/\.js(\.map)?$/, '.ts');
    if (source !== emitted && !existsSync(source)) rmSync(join(OUTPUT, emitted), { force: true });
  }
}
