import { SECTOR_BYTES } from '../aoe/constants.ts';
import type { Arena } from '../buffers/arena.ts';
import type { Backing } from './backing.ts';

/** Sectors that may wait for a flush: 256 MiB. Like a disk's, a full cache writes through. */
export const CACHED_SECTORS_MAX = 524_288;

/**
 * A disk's volatile write cache: writes stay in memory until the next flush, and are gone when the process is killed or
 * `lose` is called. With it a test can show whether an initiator, and what runs on it, flushes when it has to; without it
 * the page cache survives the death of the target and hides the mistake.
 */
export class VolatileCache implements Backing {
  readonly #backing: Backing;
  readonly #arena: Arena;
  readonly #stagingOffset: number;
  readonly #cached = new Map<number, Uint8Array>();

  /** Bytes of arena that each cache needs. */
  static readonly stagingBytes = SECTOR_BYTES;

  /** `stagingOffset` is the arena offset of `stagingBytes` that belong to this cache. */
  constructor(backing: Backing, arena: Arena, stagingOffset: number) {
    this.#backing = backing;
    this.#arena = arena;
    this.#stagingOffset = stagingOffset;
  }

  get name(): string {
    return this.#backing.name;
  }

  get sectors(): number {
    return this.#backing.sectors;
  }

  get readOnly(): boolean {
    return this.#backing.readOnly;
  }

  get canTrim(): boolean {
    return this.#backing.canTrim;
  }

  get readZeroAfterTrim(): boolean {
    return this.#backing.readZeroAfterTrim;
  }

  get physicalSectorBytes(): number {
    return this.#backing.physicalSectorBytes;
  }

  read(lba: number, sectors: number, offset: number): number {
    const result = this.#backing.read(lba, sectors, offset);
    if (result < 0) return result;
    for (let index = 0; index < sectors; index++) {
      const cached = this.#cached.get(lba + index);
      if (cached !== undefined) this.#arena.bytes.set(cached, offset + index * SECTOR_BYTES);
    }
    return 0;
  }

  write(lba: number, sectors: number, offset: number): number {
    for (let index = 0; index < sectors; index++) {
      const start = offset + index * SECTOR_BYTES;
      this.#cached.set(lba + index, this.#arena.bytes.slice(start, start + SECTOR_BYTES));
    }
    return this.#cached.size > CACHED_SECTORS_MAX ? this.#writeBack() : 0;
  }

  flush(): number {
    const result = this.#writeBack();
    return result < 0 ? result : this.#backing.flush();
  }

  trim(lba: number, sectors: number): number {
    for (let index = 0; index < sectors; index++) this.#cached.delete(lba + index);
    return this.#backing.trim(lba, sectors);
  }

  refresh(): number {
    return this.#backing.refresh();
  }

  /** What a power failure does to it. @returns how many sectors were lost */
  lose(): number {
    const lost = this.#cached.size;
    this.#cached.clear();
    return lost;
  }

  /** Closing is no flush: what was not flushed is lost. */
  close(): void {
    this.lose();
    this.#backing.close();
  }

  /** Stops at the first failure; what has not been written stays cached. */
  #writeBack(): number {
    for (const [lba, bytes] of this.#cached) {
      this.#arena.bytes.set(bytes, this.#stagingOffset);
      const result = this.#backing.write(lba, 1, this.#stagingOffset);
      if (result < 0) return result;
      this.#cached.delete(lba);
    }
    return 0;
  }
}
