import { podNetwork } from './cluster-network.ts';

/** Each node has its own /run. */
export const CONTAINERD_SOCKET = '/run/containerd.sock';
/** What every pod has as its first container: images.ts makes it. */
export const PAUSE_IMAGE = 'localhost/pause:1';

/** A command line that takes an image from a file, as `docker save` or buildah's docker-archive make them. */
export function importing(image: string, socket = CONTAINERD_SOCKET): string[] {
  return [...imagesCommand(socket), 'import', image];
}

/** What a command line begins with that works with a node's images. */
export function imagesCommand(socket = CONTAINERD_SOCKET): string[] {
  return ['ctr', '--address', socket, '--namespace', 'k8s.io', 'images'];
}

export interface ContainerdOptions {
  /** With cni.conflist in it. */
  readonly networkFolder: string;
  /** Whether containers' chance to be ended when memory is short may be made smaller: only where there is CAP_SYS_RESOURCE. */
  readonly mayProtect: boolean;
}

/** containerd.toml, version 2. */
export function containerdConfiguration({ networkFolder, mayProtect }: ContainerdOptions): string {
  return `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE no pod could be started.
  restrict_oom_score_adj = ${!mayProtect}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${networkFolder}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
`;
}

/** Pods of a node are on a bridge of its own. @param number of the node */
export function cniConfiguration(number: number): string {
  const ipam = {
    type: 'host-local',
    dataDir: '/run/cni',
    ranges: [[{ subnet: podNetwork(number) }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true, ipam };
  return JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins: [bridge] });
}
