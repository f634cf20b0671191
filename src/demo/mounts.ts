import { isMountPoint, listMounts } from '../system/mounts.ts';
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

/** Unmounts everything below a folder, the last mount first. */
export async function unmountBelow(folder: string): Promise<void> {
  const mountPoints = listMounts().map(({ mountPoint }) => mountPoint);
  for (const mountPoint of mountPoints.filter((path) => path.startsWith(`${folder}/`)).toReversed())
    await unmountForSure(mountPoint);
}

/** Unmounts, and where that is not possible now takes the mount out of sight: it ends when its last user does. */
export async function unmountForSure(mountPoint: string): Promise<void> {
  let failure: Error | undefined;
  // The kernel's table of mounts is not read in one piece: while others mount something, umount may find nothing there.
  for (const how of [[], ['--lazy'], ['--lazy']]) {
    if (!isMountPoint(mountPoint)) return;
    failure = await runProgram('umount', [...how, mountPoint], MOUNT_MS).then(
      () => undefined,
      (error: Error) => error,
    );
  }
  if (failure !== undefined && isMountPoint(mountPoint)) throw failure;
}
