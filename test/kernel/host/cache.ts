import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where kernels are kept: the user's cache, or a folder for this run alone where that cannot be written. */
export function kernelCache(): string {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aoe-csi', 'kernels');
  try {
    mkdirSync(cache, { recursive: true });
    // Existing is not yet writable.
    rmSync(mkdtempSync(join(cache, 'writable-')), { recursive: true });
    return cache;
  } catch {
    const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-kernels-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return folder;
  }
}
