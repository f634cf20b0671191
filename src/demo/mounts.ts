import { isMountPoint } from '../system/mounts.ts';
import { runProgram } from '../system/programs.ts';

const MOUNT_MS = 30_000;

/**
 * Makes a folder a mount of its own, below which mounting and unmounting reach every mount namespace that is copied from ours. Else
 * a container that somebody starts in the meantime keeps what is mounted now, and with it the device in use, for as long as it lives.
 */
export async function shareMounts(folder: string): Promise<void> {
  await runProgram('mount', ['--bind', folder, folder], MOUNT_MS);
  await runProgram('mount', ['--make-shared', folder], MOUNT_MS);
}

export async function mount(device: string, mountPoint: string): Promise<void> {
  await runProgram('mount', [device, mountPoint], MOUNT_MS);
}

export async function unmount(mountPoint: string): Promise<void> {
  await runProgram('umount', [mountPoint], MOUNT_MS);
}

/** Unmounts, and where that is not possible now takes the mount out of sight: it ends when its last user does. */
export async function unmountForSure(mountPoint: string): Promise<void> {
  if (!isMountPoint(mountPoint)) return;
  try {
    await unmount(mountPoint);
  } catch {
    await runProgram('umount', ['--lazy', mountPoint], MOUNT_MS);
  }
}
