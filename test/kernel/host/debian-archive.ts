import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Downloads Debian packages and unpacks them, one over the other, into the folder; nothing is installed. */
export function unpackPackages(names: readonly string[], folder: string, scratch: string, apt: readonly string[] = []): void {
  const downloads = mkdtempSync(join(scratch, 'packages-'));
  runProgram('apt-get', [...apt, 'download', '--quiet', ...names], downloads);
  const archives = readdirSync(downloads).filter((file) => file.endsWith('.deb'));
  if (archives.length !== names.length) throw new Error(`\`apt-get download ${names.join(' ')}\` has left ${archives.join(' ')}`);
  for (const archive of archives) runProgram('dpkg-deb', ['--extract', join(downloads, archive), folder]);
}

/**
 * Words of apt-get for the backports of the Debian that this machine has, which it need not use itself: fetches their lists, and
 * keeps them and everything else in the folder. Throws an Error that says why they can't be had.
 */
export function backports(scratch: string): readonly string[] {
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  const archive = archiveOf(name);
  if (archive === undefined) throw new Error(`this machine does not fetch packages from Debian's archive of "${name}"`);
  const folder = mkdtempSync(join(scratch, 'lists-'));
  const list = join(folder, 'sources.list');
  writeFileSync(list, `deb ${archive} ${name}-backports main\n`);
  for (const each of ['state/partial', 'cache/archives/partial']) mkdirSync(join(folder, each), { recursive: true });
  const settings = {
    'Dir::Etc::SourceList': list,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(folder, 'state'),
    'Dir::Cache': join(folder, 'cache'),
    // Nobody else may look into folders of ours.
    'APT::Sandbox::User': 'root',
  };
  const words = Object.entries(settings).flatMap(([key, value]) => ['--option', `${key}=${value}`]);
  runProgram('apt-get', [...words, 'update', '--quiet', '--error-on=any']);
  return words;
}

/** Where this machine gets a Debian of this name from. */
function archiveOf(name: string): string | undefined {
  const format = '$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)';
  const targets = runProgram('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const wanted = `Debian ${name} main `;
  return targets
    .split('\n')
    .find((line) => line.startsWith(wanted))
    ?.slice(wanted.length);
}

/** What it printed; an Error with what it complained of when it failed. */
export function runProgram(file: string, args: readonly string[], cwd?: string): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', cwd, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    throw new Error(`${file}: ${stderr?.trim() || message}`, { cause: error });
  }
}
