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

/** getmntent(3) reads no longer lines than this, and programs that use it don't find what is mounted there. */
const MOUNTS_LINE_MAX = 4096;
const ESCAPE_LENGTH = 4;
/** Every system has it, and nobody needs it for the moment. */
const SHORT_PATH = '/mnt';

/**
 * Command line of a program that looks for the mount at `path` in /proc/mounts. If the path is too long for that, the program runs in a
 * mount namespace of its own, which ends with it, and where the mount is at a short path.
 * @param words given the path to name
 */
export function findingMount(path: string, words: (path: string) => readonly string[]): readonly string[] {
  if (Buffer.byteLength(path) * ESCAPE_LENGTH < MOUNTS_LINE_MAX) return words(path);
  const script = 'mount -n --move "$0" "$1" && shift && exec "$@"';
  const enter = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', script, path, SHORT_PATH];
  return [...enter, ...words(SHORT_PATH)];
}
