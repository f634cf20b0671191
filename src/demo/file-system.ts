import { readFileSync } from 'node:fs';
import { CAP_SYS_RESOURCE, hasCapability } from '../system/capabilities.ts';
import { findProgram } from '../system/programs.ts';

/** The file system that the demo's volume gets. */
export interface FileSystemChoice {
  readonly fsType: 'ext4' | 'xfs';
  /** It does not get along with less. */
  readonly diskBytesMin: number;
  /** Why it can't grow on this machine; undefined where it can. */
  readonly whyFixed: string | undefined;
}

const XFS_BYTES_MIN = 320 * 2 ** 20;

/** ext4, unless only XFS can grow here: the kernel lets ext4 grow for CAP_SYS_RESOURCE only, which many containers lack. */
export function chooseFileSystem(): FileSystemChoice {
  if (hasCapability(CAP_SYS_RESOURCE)) return { fsType: 'ext4', diskBytesMin: 0, whyFixed: undefined };
  const isKnown = /\txfs$/m.test(readFileSync('/proc/filesystems', 'utf8'));
  if (isKnown && findProgram('mkfs.xfs') !== undefined)
    return { fsType: 'xfs', diskBytesMin: XFS_BYTES_MIN, whyFixed: undefined };
  const whyFixed = 'ext4 grows with the capability CAP_SYS_RESOURCE only, which this machine withholds, and there is no XFS';
  return { fsType: 'ext4', diskBytesMin: 0, whyFixed };
}
