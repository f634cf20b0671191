import { describeSector, isSector, isZeroVersion, SECTOR_WORDS, sectorVersion, VERSION_FIRST } from './sector-pattern.ts';
import type { ModelDisk } from './model-disk.ts';

/** A wrong byte, a lost write, a request that ended as it must not. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

interface Unflushed {
  readonly lba: number;
  readonly sectors: number;
  readonly version: number;
}

/**
 * What a volume's user may expect to find: for each sector the version whose write was acknowledged last. Writes that failed, and
 * writes that a crashing target lost before a flush, leave several versions possible.
 */
export class Ledger {
  readonly #disk: ModelDisk;
  readonly #name: string;
  readonly #expected: Int32Array;
  /** Version of a write under way; 0 = none. */
  readonly #pending: Int32Array;
  /** Other versions that may be there as well. */
  readonly #others = new Map<number, Set<number>>();
  /** The same for sectors under a write: it may have run, and its effect been lost, before its answer arrives. */
  readonly #othersAfterWrite = new Map<number, Set<number>>();
  /** Acknowledged writes that no flush has covered yet, and how many there were before the first of them. */
  #unflushed: Unflushed[] = [];
  #flushedBefore = 0;
  #versions = 0;
  sectorsCompared = 0;

  constructor(disk: ModelDisk, name: string) {
    this.#disk = disk;
    this.#name = name;
    this.#expected = new Int32Array(disk.capacity).fill(VERSION_FIRST);
    this.#pending = new Int32Array(disk.capacity);
    disk.lost = (lba) => this.#lost(lba);
  }

  /** A version number for a write, of data or of zeros. */
  newVersion(zeros: boolean): number {
    this.#versions += 2;
    return zeros ? this.#versions + 1 : this.#versions;
  }

  writing(lba: number, sectors: number, version: number): void {
    this.#pending.fill(version, lba, lba + sectors);
  }

  written(lba: number, sectors: number, version: number): void {
    this.#pending.fill(0, lba, lba + sectors);
    this.#expected.fill(version, lba, lba + sectors);
    if (this.#others.size + this.#othersAfterWrite.size > 0) this.#forgetOthers(lba, sectors);
    this.#unflushed.push({ lba, sectors, version });
  }

  /**
   * The volume's side knows that the disk's machine has started anew: what a write under way had done before is not enough any more
   * for it to be acknowledged.
   */
  restartKnown(): void {
    this.#othersAfterWrite.clear();
  }

  /** A write that must be durable is about to be `written`: it is on the stable medium, but for restarts nobody can know of yet. */
  forced(lba: number, sectors: number, version: number): void {
    for (let sector = lba; sector < lba + sectors; sector++) {
      if (this.#othersAfterWrite.has(sector)) continue;
      if (isSector(this.#disk.durable, sector * SECTOR_WORDS, this.#disk.number, sector, version)) continue;
      this.#notDurable(sector, version);
    }
  }

  /** A write ended with an error: each of its sectors is old or new. */
  failed(lba: number, sectors: number, version: number): void {
    this.#pending.fill(0, lba, lba + sectors);
    for (let sector = lba; sector < lba + sectors; sector++) addTo(this.#others, sector, version);
  }

  /** A trim leaves anything behind where the disk doesn't promise zeros; ours either zeros or keeps a sector. */
  trimmed(lba: number, sectors: number, version: number): void {
    this.#pending.fill(0, lba, lba + sectors);
    for (let sector = lba; sector < lba + sectors; sector++) addTo(this.#others, sector, version);
  }

  /** A mark for `flushed`: what has been acknowledged so far. */
  get mark(): number {
    return this.#flushedBefore + this.#unflushed.length;
  }

  /** A flush that was asked for at `mark` has been acknowledged: what was acknowledged before must survive any crash. */
  flushed(mark: number): void {
    const covered = this.#unflushed.splice(0, Math.max(0, mark - this.#flushedBefore));
    this.#flushedBefore += covered.length;
    for (const { lba, sectors, version } of covered) this.checkDurable(lba, sectors, version);
  }

  /** Sectors still at `version` are on the disk's stable medium. */
  checkDurable(lba: number, sectors: number, version: number): void {
    for (let sector = lba; sector < lba + sectors; sector++) {
      if (this.#expected[sector] !== version || this.#pending[sector] !== 0 || this.#others.has(sector)) continue;
      if (isSector(this.#disk.durable, sector * SECTOR_WORDS, this.#disk.number, sector, version)) continue;
      this.#notDurable(sector, version);
    }
  }

  #notDurable(sector: number, version: number): never {
    throw new Violation(
      `${this.#name}: a flush was acknowledged, but sector ${sector} is not on stable storage: expected ${nameOf(version)}, there is ` +
        describeSector(this.#disk.durable, sector * SECTOR_WORDS),
    );
  }

  /** Compares what a read returned, `words` from `word` on. */
  compare(words: Int32Array, word: number, lba: number, sectors: number, what: string): void {
    this.sectorsCompared += sectors;
    for (let index = 0; index < sectors; index++) {
      const sector = lba + index;
      const at = word + index * SECTOR_WORDS;
      if (isSector(words, at, this.#disk.number, sector, this.#expected[sector])) continue;
      if (this.#isOther(words, at, sector)) continue;
      throw new Violation(
        `${this.#name}: ${what}, sector ${sector} is wrong: expected ${nameOf(this.#expected[sector])}` +
          `${this.#others.has(sector) ? ' or another' : ''}, found ${describeSector(words, at)}`,
      );
    }
  }

  /** Compares the whole disk. */
  compareAll(): void {
    this.compare(this.#disk.content, 0, 0, this.#disk.capacity, 'at the end on the disk itself');
  }

  #isOther(words: Int32Array, at: number, sector: number): boolean {
    for (const version of this.#others.get(sector) ?? []) {
      if (isSector(words, at, this.#disk.number, sector, version)) return true;
    }
    return false;
  }

  /** A crash took the disk's sector back to what was last flushed. A late copy may still bring the newer one again. */
  #lost(sector: number): void {
    const version = sectorVersion(this.#disk.durable, sector * SECTOR_WORDS);
    addTo(this.#others, sector, version);
    if (this.#pending[sector] !== 0) addTo(this.#othersAfterWrite, sector, version);
  }

  #forgetOthers(lba: number, sectors: number): void {
    for (let sector = lba; sector < lba + sectors; sector++) {
      const after = this.#othersAfterWrite.get(sector);
      this.#othersAfterWrite.delete(sector);
      if (after === undefined) this.#others.delete(sector);
      else this.#others.set(sector, after);
    }
  }
}

function addTo(map: Map<number, Set<number>>, sector: number, version: number): void {
  const versions = map.get(sector);
  if (versions === undefined) map.set(sector, new Set([version]));
  else versions.add(version);
}

function nameOf(version: number): string {
  return isZeroVersion(version) ? `zeros (version ${version})` : `version ${version}`;
}
