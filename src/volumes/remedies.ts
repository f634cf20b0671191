/** What a person can do where nothing goes on by itself, as messages say it: the same words everywhere, and in docs/kubernetes.md. */

/** Says that this node is off for good: its volumes may go elsewhere. */
export function recordRemoval(nodeId: string): string {
  return `remove its record (kubectl delete aoenode ${nodeId}, in the driver's namespace; with a store in a folder, nodes/${nodeId}.json)`;
}

/** Takes a volume from a node that nobody asks to give it up any more: a VolumeAttachment was removed by force, say. */
export function unpublishingByHand(volumeId: string, nodeIds: readonly string[]): string {
  const nodeId = nodeIds.length === 1 ? nodeIds[0] : 'NODE';
  return (
    `when nothing uses it there and no VolumeAttachment is left that would see to it: aoe-csi csi ControllerUnpublishVolume ` +
    `volumeId=${volumeId} nodeId=${nodeId}, in the controller's container`
  );
}
