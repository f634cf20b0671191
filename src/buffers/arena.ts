/**
 * One contiguous region of memory that holds everything the data path touches: frame headers, payload chunks, NBD staging.
 * Engines name memory by offset into it, so that they never allocate, and so that a simulation can run them on a plain buffer.
 */
export interface Arena {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Address of byte 0 for system calls; 0 where there are none (simulations). Exact: addresses stay below 2^53. */
  readonly address: number;
}

/** An arena on ordinary JavaScript memory, for tests and simulations: it has no stable address to give to the kernel. */
export function plainArena(sizeBytes: number): Arena {
  const buffer = new ArrayBuffer(sizeBytes);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address: 0 };
}

/** Deals out an arena's parts once, at start. There is no way to give one back. */
export class ArenaPlan {
  #next = 0;

  /** Reserves `sizeBytes` and returns their offset, aligned to `alignment` (a power of two). */
  reserve(sizeBytes: number, alignment = 64): number {
    const offset = Math.ceil(this.#next / alignment) * alignment;
    this.#next = offset + sizeBytes;
    return offset;
  }

  /** Bytes reserved so far: the size the arena must have. */
  get sizeBytes(): number {
    return this.#next;
  }
}
