import type { BlockDevice } from '../kernel/block-device.ts';
import type { RunOptions } from '../kernel/run.ts';

/** What is done to a file system of one kind, each by the programs of those who make it. */
export interface FileSystem {
  /** What programs it takes, with the Debian package. */
  readonly programs: readonly (readonly [program: string, debianPackage: string])[];
  /** Makes one; what is on the device is gone. `again`: over what an earlier mkfs of ours has begun. */
  make(device: BlockDevice, uuid: string, again: boolean, options: RunOptions): Promise<void>;
  /** Mends, before it is mounted, what can be mended without a decision. @throws VolumeError `failed-precondition` when that is not enough */
  check(device: BlockDevice, options: RunOptions): Promise<void>;
  /** Makes it as large as its device, mounted as it is. @throws ProgramError */
  grow(device: BlockDevice, mountPoint: string): Promise<void>;
  /** Why this process can't let a mounted one grow; undefined where it can. */
  whyNotMounted(): string | undefined;
  /** How one grows that is not mounted; undefined for kinds that never do. */
  readonly unmounted?: UnmountedGrowth;
  /** Whether a mkfs with this UUID was begun on the device and not ended. */
  isBegun(device: BlockDevice, uuid: string): Promise<boolean>;
}

/** What is written in the steps between is no file system that could be mounted: node/format/growing.ts. */
export interface UnmountedGrowth {
  /** `moving`: what lies in the way would be moved, and be lost if that were interrupted. @throws VolumeError `unavailable` */
  wanted(device: BlockDevice): Promise<'none' | 'in-place' | 'moving'>;
  /** Looks at all of it, and mends as `check` does: afterwards, all that is not right is of the growth. @throws as `check` */
  checkAll(device: BlockDevice, options: RunOptions): Promise<void>;
  /** @throws ProgramError */
  grow(device: BlockDevice): Promise<void>;
  /** After a growth that was interrupted: makes one file system of it, smaller or larger. @throws as `check` */
  mend(device: BlockDevice, options: RunOptions): Promise<void>;
}
