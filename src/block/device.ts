import type { BlockRequest, RequestOwner } from './request.ts';

/** Something that takes block requests: an attached AoE volume, or memory in a test. */
export interface BlockDevice {
  /** As people write it, e.g. `e10.3`. */
  readonly name: string;
  /** Size in 512-byte sectors; never changes by itself while the device is attached. */
  readonly sectors: number;
  readonly readOnly: boolean;
  /** A trim reaches the target. Where false, TRIM is not offered to clients. */
  readonly canTrim: boolean;

  /**
   * Takes a request that lies inside the device. The answer comes through `request.owner.completed`, possibly before this
   * returns. Flush is always accepted: a target that can't flush acknowledges it at once, and the volume says so elsewhere.
   */
  submit(request: BlockRequest): void;

  /**
   * Ends all requests of an owner that is gone: none of them may change the medium any more after a request that is submitted later
   * has. They come back through `completed`, now or later.
   */
  abandon(owner: RequestOwner): void;
}
