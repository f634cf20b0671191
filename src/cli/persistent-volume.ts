import { formatBytes } from '../volumes/byte-size.ts';
import type { Segments } from '../volumes/topology.ts';

export const ACCESS_MODES = ['ReadWriteOnce', 'ReadWriteOncePod', 'ReadOnlyMany'] as const;
export const VOLUME_MODES = ['Filesystem', 'Block'] as const;

/** A static volume, as a person wants it. */
export interface StaticVolume {
  /** Of the object. */
  readonly name: string;
  readonly driverName: string;
  /** `e10.3`, also its handle. */
  readonly address: string;
  readonly sizeBytes: number;
  readonly accessModes: readonly (typeof ACCESS_MODES)[number][];
  readonly volumeMode: (typeof VOLUME_MODES)[number];
  /** Empty: of no class. */
  readonly className: string;
  /** Empty: whatever is on the disk. */
  readonly fsType: string;
  /** See parameter-table.ts. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Namespace and name of the PersistentVolumeClaim that alone may have it. */
  readonly claimant: { readonly namespace: string; readonly name: string } | undefined;
  /** From where the target is seen; empty where nodes name no places. */
  readonly places: readonly Segments[];
}

/**
 * The PersistentVolume of a static volume, for `kubectl apply`. It is kept when its claim is deleted: the driver never deletes a
 * static volume.
 */
export function persistentVolume(volume: StaticVolume): object {
  const { name, driverName, address, sizeBytes, accessModes, volumeMode, className, fsType, attributes, claimant, places } =
    volume;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: formatBytes(sizeBytes) },
      accessModes,
      volumeMode,
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: className,
      ...(claimant === undefined ? {} : { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claimant } }),
      csi: {
        driver: driverName,
        volumeHandle: address,
        ...(fsType === '' ? {} : { fsType }),
        ...(accessModes.includes('ReadOnlyMany') ? { readOnly: true } : {}),
        ...(Object.keys(attributes).length === 0 ? {} : { volumeAttributes: attributes }),
      },
      ...(places.length === 0 ? {} : { nodeAffinity: { required: { nodeSelectorTerms: places.map(termOf) } } }),
    },
  };
}

function termOf(segments: Segments): object {
  return { matchExpressions: Object.entries(segments).map(([key, value]) => ({ key, operator: 'In', values: [value] })) };
}
