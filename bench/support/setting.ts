import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';

/** Debian packages whose versions a result depends on. */
const PACKAGES = ['vblade', 'fio', 'libnbd0', 'qemu-utils', 'libiscsi7', 'tgt', 'nbdkit', 'gcc'];

/** Date, machine and versions, as a line of Markdown: without them a number can't be compared with another. */
export function describeSetting(date: Date): string {
  const [processor] = cpus();
  const machine = `${cpus().length} × ${processor.model}, Linux ${release()}, Node ${process.versions.node}`;
  return `${date.toISOString().slice(0, 10)}; ${machine}; ${packageVersions().join(', ')}.`;
}

function packageVersions(): string[] {
  try {
    const output = execFileSync('dpkg-query', ['--show', '--showformat=${Package} ${Version}\n', ...PACKAGES], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.trim().split('\n');
  } catch {
    return ['package versions unknown (no dpkg here, or some are not installed)'];
  }
}
