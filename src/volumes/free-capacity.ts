import { wasteBytesMax, type WasteLimit } from './parameter-values.ts';
import type { Placement } from './placement.ts';

/** What new volumes of one class can have (CSI, GetCapacityResponse). */
export interface FreeCapacity {
  /** Of all free targets together. */
  readonly availableBytes: number;
  /** The largest volume: a volume takes one target. 0 when none is free. */
  readonly maximumBytes: number;
  /** The smallest that maxWaste allows; 0 when none is free or nothing forbids it. */
  readonly minimumBytes: number;
}

/** @param placement of a request without any size */
export function freeCapacity({ candidates }: Placement, maxWaste: WasteLimit): FreeCapacity {
  if (candidates.length === 0) return { availableBytes: 0, maximumBytes: 0, minimumBytes: 0 };
  const sizes = candidates.map(({ target }) => target.identity.sizeBytes);
  return {
    availableBytes: sizes.reduce((sum, size) => sum + size, 0),
    maximumBytes: sizes.reduce((largest, size) => Math.max(largest, size), 0),
    minimumBytes: sizes.reduce((least, size) => Math.min(least, Math.max(0, size - wasteBytesMax(maxWaste, size))), Infinity),
  };
}
