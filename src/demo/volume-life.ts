import { runProgram } from '../system/programs.ts';
import { findDamaged, writeFiles } from './checked-files.ts';
import type { Laboratory } from './laboratory.ts';
import { mount, unmount } from './mounts.ts';
import { Phase } from './phase.ts';

const MKFS_MS = 60_000;

/** What came of a life. */
export interface Life {
  readonly writing: Phase;
  readonly reading: Phase;
  /** What is not as it was written; empty = all is well. */
  readonly damaged: readonly string[];
}

/** A file system's life on the volume: made, written while the target is restarted, taken away, attached again, verified. */
export async function liveWithFileSystem(laboratory: Laboratory, signal: AbortSignal): Promise<Life> {
  const { narrator, options, run } = laboratory;
  const { sizeBytes } = options;
  const { mountPoint } = run;
  const device = await laboratory.attach();
  await runProgram('mkfs.ext4', ['-q', device], MKFS_MS);
  await mount(device, mountPoint);
  narrator.say(`mkfs.ext4 ${device} && mount ${device}`);

  const writing = new Phase();
  const files = await writeFiles(
    mountPoint,
    sizeBytes,
    (done) => {
      writing.moved(done);
      narrator.progress('writing', done, sizeBytes);
      if (done >= sizeBytes / 2) laboratory.restartTargetOnce(signal);
    },
    signal,
  );
  await laboratory.restarted;
  writing.end();
  narrator.say(`wrote ${files.length} files, fsync after each`);
  await unmount(mountPoint);
  await laboratory.detach();

  // A new device: nothing of it is in any cache.
  const deviceAgain = await laboratory.attach();
  await mount(deviceAgain, mountPoint);
  const reading = new Phase();
  const damaged = await findDamaged(
    files,
    (done) => {
      reading.moved(done);
      narrator.progress('verifying', done, sizeBytes);
    },
    signal,
  );
  reading.end();
  narrator.say(damaged.length === 0 ? `verified: all ${files.length} checksums are right` : `DAMAGED: ${damaged.join(', ')}`);
  await unmount(mountPoint);
  await laboratory.detach();
  return { writing, reading, damaged };
}
