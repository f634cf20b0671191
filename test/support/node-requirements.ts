import { command, device, root, type Requirement } from './requires.ts';

/** What tests of a node plugin need, on devices made by FUSE. */
export const NODE_REQUIREMENTS: readonly Requirement[] = [
  root(),
  command('nbdfuse', 'libnbd-bin'),
  command('mkfs.ext4', 'e2fsprogs'),
  device('/dev/fuse'),
  device('/dev/loop-control'),
];
