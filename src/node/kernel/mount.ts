import { runWell } from './run.ts';

/** Mounting reads and replays a journal, at the pace of the target. */
const MOUNT_MS = 600_000;
/** Unmounting writes everything back; whoever waits for it decides for how long. */
const UNMOUNT_MS = 86_400_000;

/** @throws ProgramError with what mount(8) said */
export async function mountDevice(device: string, path: string, fsType: string, options: readonly string[]): Promise<void> {
  const words = options.length === 0 ? [] : ['-o', options.join(',')];
  await runWell('mount', ['-n', '-t', fsType, ...words, device, path], { timeoutMs: MOUNT_MS });
}

/**
 * Shows at `path` what is at `source`: a folder on a folder, a device on a file.
 * @param options of the new mount, all of them: a remount forgets those that it is not told (nosuid, noexec …). Empty leaves the
 * new mount as the one at `source` is
 */
export async function bindMount(source: string, path: string, options: readonly string[]): Promise<void> {
  const words = options.length === 0 ? [] : ['-o', options.join(',')];
  await runWell('mount', ['-n', '--bind', ...words, source, path], { timeoutMs: MOUNT_MS });
}

/** Takes the topmost mount at `path` away, and waits until all is written. @throws ProgramError when it is in use */
export async function unmount(path: string): Promise<void> {
  await runWell('umount', ['-n', '--no-canonicalize', path], { timeoutMs: UNMOUNT_MS });
}
