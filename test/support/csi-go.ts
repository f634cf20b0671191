/** Programs that tests need and that exist as Go modules only: built when first wanted, kept in the user's cache. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Requirement } from './requires.ts';

/** The oldest Go that all of the modules build with; Go fetches a newer one by itself where it may. */
const GO_MINOR_MIN = 26;

/** The test runs a program that is built with Go. */
export function go(): Requirement {
  return { missing: complaintAboutGo(), certainInCi: true };
}

function complaintAboutGo(): string | undefined {
  const answer = spawnSync('go', ['version'], { encoding: 'utf8' });
  const minor = Number(/go1\.(\d+)/.exec(answer.stdout ?? '')?.[1] ?? 0);
  if (minor >= GO_MINOR_MIN) return undefined;
  const found = minor === 0 ? 'there is none' : `this is 1.${minor}`;
  return `needs Go 1.${GO_MINOR_MIN} or newer, but ${found}: install it from go.dev and put it into PATH`;
}

/**
 * A program out of somebody's module, as `go install` makes it.
 * @param packageAtVersion e.g. `github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@v5.6.0`
 * @returns the program's path
 */
export function installedGoProgram(packageAtVersion: string): string {
  const [path, version] = packageAtVersion.split('@');
  const name = path.slice(path.lastIndexOf('/') + 1);
  return cached(`${name}-${version}`, (folder) => {
    run(['install', '-trimpath', '-ldflags=-s -w', packageAtVersion], { GOBIN: folder });
    return name;
  });
}

export interface GoBuild {
  /** What to build, when it is not the folder's own sources: a package of a module that the folder's go.mod requires. */
  readonly package?: string;
  readonly linkerFlags?: readonly string[];
}

/** A program that is built in a folder of this repository with a go.mod of its own; built again when anything there has changed. */
export function builtGoProgram(name: string, folder: string, { package: path = '.', linkerFlags = [] }: GoBuild = {}): string {
  const hash = createHash('sha256').update(`${path} ${linkerFlags.join(' ')}`);
  for (const file of readdirSync(folder).sort()) hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
  return cached(`${name}-${hash.digest('hex').slice(0, 12)}`, (output) => {
    const flags = ['-trimpath', `-ldflags=${['-s', '-w', ...linkerFlags].join(' ')}`];
    run(['build', ...flags, '-o', join(output, name), path], {}, folder);
    return name;
  });
}

/** Where things are kept between runs. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aoe-csi');
}

/** Builds in a scratch folder and renames, so that two runs at once don't see each other's half of it. */
function cached(key: string, build: (folder: string) => string): string {
  const cache = join(cacheFolder(), 'go');
  const program = join(cache, `${key}-${process.arch}`);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, 'building-'));
  try {
    renameSync(join(scratch, build(scratch)), program);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return program;
}

/** No cgo: the programs shall not depend on a C compiler. `-mod=mod` would change our go.mod files; the default refuses. */
function run(args: readonly string[], environment: NodeJS.ProcessEnv, cwd = '/'): void {
  const env = { ...process.env, CGO_ENABLED: '0', ...environment };
  try {
    execFileSync('go', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`\`go ${args.join(' ')}\` failed: ${(error as { stderr?: string }).stderr ?? String(error)}`);
  }
}
