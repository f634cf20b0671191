import { podNetwork } from './cluster-network.ts';

/** Each node has its own /run. */
export const CONTAINERD_SOCKET = '/run/containerd.sock';
/** What every pod has as its first container: images.ts makes it. */
export const PAUSE_IMAGE = 'localhost/pause:1';

/** containerd.toml, version 2. @param folder of the node, with cni.conflist in it */
export function containerdConfiguration(folder: string): string {
  return `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Machines without CAP_SYS_RESOURCE could start no pod.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}"
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
