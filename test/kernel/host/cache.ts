import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where kernels, and what runs them, are kept: the user's cache, or a folder for this run alone where that cannot be written. */
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

/**
 * A folder of the cache, made when first wanted: beside its place, and renamed, so that two runs at once do not see each other's half
 * of it. What else is needed meanwhile can be left in `scratch`.
 */
export function cachedFolder(cache: string, name: string, make: (folder: string, scratch: string) => void): string {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const scratch = mkdtempSync(join(cache, 'making-'));
  try {
    const made = join(scratch, 'made');
    make(made, scratch);
    try {
      renameSync(made, folder);
    } catch (error) {
      // Another run was faster: its copy will do.
      if (!existsSync(folder)) throw error;
    }
    return folder;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
