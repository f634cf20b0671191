import { mountsAt, type Mount } from '../../system/mountinfo.ts';
import { failed, PASSED, warning, type Finding } from './finding.ts';

/** Where the kubelet keeps volumes, as this process sees it. */
export interface KubeletFacts {
  readonly folder: string;
  readonly isThere: boolean;
  readonly mounts: readonly Mount[];
}

/** What the kubelet says when a node has a label of a topology key with another value already: nodeinfomanager of Kubernetes. */
const COLLISION = /collision: driver reported "([^"]+)"/;

/**
 * What is mounted in the kubelet's folder must be seen by the kubelet and by pods. Where the folder itself is mounted, as it is in a
 * container, that depends on how; otherwise this process sees what the kubelet sees.
 * @param kubelet undefined without a kubelet
 * @param refusal what the kubelet has said against the driver
 */
export function checkKubelet(kubelet: KubeletFacts | undefined, refusal?: string): Finding {
  if (kubelet === undefined) return PASSED;
  if (refusal !== undefined) return failed(refused(refusal));
  const { folder, isThere, mounts } = kubelet;
  if (!isThere)
    return failed(`the kubelet's folder ${folder} is not there; is it another one on this node (the value kubeletDirectory)?`);
  const mount = mountsAt(mounts, folder).at(-1);
  if (mount === undefined) return PASSED;
  if (mount.options.includes('ro'))
    return failed(`the kubelet's folder ${folder} is mounted read-only here; mount it read-write`);
  if (mount.propagation.some((field) => field.startsWith('shared:'))) return PASSED;
  return warning(
    `what is mounted below ${folder} is not seen outside of this container: mount it with mountPropagation: Bidirectional, and on the host ` +
      `see that it is shared (mount --make-rshared /)`,
  );
}

function refused(refusal: string): string {
  const key = COLLISION.exec(refusal)?.[1];
  const cure =
    key === undefined
      ? 'its log says more; it is asked again every few seconds'
      : `give node.segments the value back that the node has; or, when no PersistentVolume has that, kubectl label node NODE ${key}-`;
  return `the kubelet refuses the driver, so that no volume can be mounted or unmounted here: ${refusal}; ${cure}`;
}
