import { go } from './csi-go.ts';
import { command, device, root, type Requirement } from './requires.ts';

/** What a control plane needs of the machine. */
export const CONTROL_PLANE: readonly Requirement[] = [root(), go(), command('etcd', 'etcd-server'), command('openssl')];

const NODES: readonly Requirement[] = [
  ...CONTROL_PLANE,
  command('containerd'),
  command('runc'),
  command('buildah'),
  command('mmdebstrap'),
  command('vblade'),
  command('busybox', 'busybox-static'),
];

/** What a cluster with nodes needs, on which volumes are attached through FUSE. */
export const CLUSTER: readonly Requirement[] = [...NODES, device('/dev/fuse'), device('/dev/loop-control')];

/** What a cluster needs whose nodes are guests. */
export const GUEST_CLUSTER: readonly Requirement[] = [
  ...NODES,
  command('qemu-system-x86_64', 'qemu-system-x86'),
  command('qemu-img', 'qemu-utils'),
  command('cpio'),
  command('modprobe', 'kmod'),
  device('/dev/net/tun'),
];
