import type { Identity } from '../../src/aoe/identify.ts';
import { SECTOR_BYTES } from '../../src/aoe/constants.ts';
import { fillSector, SECTOR_WORDS, VERSION_FIRST } from './sector-pattern.ts';
import type { Random } from './random.ts';

/** How much a disk may grow. */
export const GROWTH_SECTORS = 100;

/** A disk with a volatile cache: what was written but not flushed may or may not survive a crash. */
export class ModelDisk {
  /** Part of every sector's pattern. */
  readonly number: number;
  identity: Identity;
  readonly content: Int32Array;
  readonly durable: Int32Array;
  readonly #dirty: Uint8Array;
  /** Sectors that can't be read or written. */
  readonly bad = new Set<number>();
  /** Commands that touched the medium; a stranger's disk must see none. */
  accesses = 0;
  /** Told of every sector that a crash took back. */
  lost: (lba: number) => void = () => undefined;

  /** As it was made; what IDENTIFY says may change. */
  readonly sectors: number;

  constructor(number: number, identity: Identity) {
    this.number = number;
    this.identity = identity;
    this.sectors = identity.sectors;
    const words = (identity.sectors + GROWTH_SECTORS) * SECTOR_WORDS;
    this.content = new Int32Array(words);
    this.durable = new Int32Array(words);
    this.#dirty = new Uint8Array(identity.sectors + GROWTH_SECTORS);
  }

  /** All that it can ever have. */
  get capacity(): number {
    return this.#dirty.length;
  }

  isBad(lba: number, sectors: number): boolean {
    if (this.bad.size === 0) return false;
    for (let sector = lba; sector < lba + sectors; sector++) if (this.bad.has(sector)) return true;
    return false;
  }

  /** Copies sectors to `into` from byte `offset` on. */
  read(lba: number, sectors: number, into: Uint8Array, offset: number): void {
    this.accesses++;
    const bytes = new Uint8Array(this.content.buffer, lba * SECTOR_BYTES, sectors * SECTOR_BYTES);
    into.set(bytes, offset);
  }

  write(lba: number, data: Int32Array): void {
    this.accesses++;
    this.content.set(data, lba * SECTOR_WORDS);
    this.#dirty.fill(1, lba, lba + data.length / SECTOR_WORDS);
  }

  trim(lba: number, sectors: number): void {
    this.accesses++;
    for (let sector = lba; sector < lba + sectors; sector++) {
      fillSector(this.content, sector * SECTOR_WORDS, this.number, sector, VERSION_FIRST);
    }
    this.#dirty.fill(1, lba, lba + sectors);
  }

  flush(): void {
    this.accesses++;
    for (let sector = this.#dirty.indexOf(1); sector >= 0; sector = this.#dirty.indexOf(1, sector)) {
      this.#copy(this.content, this.durable, sector);
    }
  }

  /** Power fails: each sector that was not flushed stays or is lost. */
  crash(random: Random): void {
    const survive = random.next();
    for (let sector = this.#dirty.indexOf(1); sector >= 0; sector = this.#dirty.indexOf(1, sector)) {
      if (random.chance(survive)) {
        this.#copy(this.content, this.durable, sector);
      } else {
        this.lost(sector);
        this.#copy(this.durable, this.content, sector);
      }
    }
  }

  #copy(from: Int32Array, to: Int32Array, sector: number): void {
    to.set(from.subarray(sector * SECTOR_WORDS, (sector + 1) * SECTOR_WORDS), sector * SECTOR_WORDS);
    this.#dirty[sector] = 0;
  }
}
