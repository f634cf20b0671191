import type { Arena } from '../buffers/arena.ts';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import type { Backing } from './backing.ts';

/** A disk in memory, gone with the process: for tests and simulations. Plain copies, no system calls. */
export class MemoryBacking implements Backing {
  readonly name = 'memory';
  readonly readOnly: boolean;
  readonly canTrim = true;
  readonly readZeroAfterTrim = true;
  readonly physicalSectorBytes = 4096;
  /** The content; tests look at it and change it. */
  readonly content: Uint8Array;
  readonly #arena: Arena;

  /** @param arena where reads go and writes come from */
  constructor(arena: Arena, sectors: number, readOnly = false) {
    this.content = new Uint8Array(sectors * SECTOR_BYTES);
    this.readOnly = readOnly;
    this.#arena = arena;
  }

  get sectors(): number {
    return this.content.length / SECTOR_BYTES;
  }

  read(lba: number, sectors: number, offset: number): number {
    const start = lba * SECTOR_BYTES;
    this.#arena.bytes.set(this.content.subarray(start, start + sectors * SECTOR_BYTES), offset);
    return 0;
  }

  write(lba: number, sectors: number, offset: number): number {
    this.content.set(this.#arena.bytes.subarray(offset, offset + sectors * SECTOR_BYTES), lba * SECTOR_BYTES);
    return 0;
  }

  flush(): number {
    return 0;
  }

  trim(lba: number, sectors: number): number {
    this.content.fill(0, lba * SECTOR_BYTES, (lba + sectors) * SECTOR_BYTES);
    return 0;
  }

  refresh(): number {
    return 0;
  }

  close(): void {
    // Nothing to give back.
  }
}
