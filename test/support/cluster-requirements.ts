import { go } from './csi-go.ts';
import { command, device, root, type Requirement } from './requires.ts';

/** What a control plane needs of the machine. */
export const CONTROL_PLANE: readonly Requirement[] = [root(), go(), command('etcd', 'etcd-server'), command('openssl')];

/** What a cluster with nodes needs, on which volumes are attached through FUSE. */
export const CLUSTER: readonly Requirement[] = [
  ...CONTROL_PLANE,
  command('containerd'),
  command('runc'),
  command('buildah'),
  command('mmdebstrap'),
  command('vblade'),
  command('busybox', 'busybox-static'),
  device('/dev/fuse'),
  device('/dev/loop-control'),
];
