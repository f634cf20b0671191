/**
 * What simulated clients write: each sector's 512 bytes say which disk, sector and version they are, and all of them follow from
 * that. So a sector that was torn, moved, or rolled back to an older version is not only found but named.
 */

export const SECTOR_WORDS = 128;
const WORD_LBA = 0;
const WORD_VERSION = 1;
const WORD_DISK = 2;

/** Versions of zeroed sectors are odd, so that the version alone tells the content. The first content of every disk is zeros. */
export const VERSION_FIRST = 1;

export function isZeroVersion(version: number): boolean {
  return (version & 1) === 1;
}

function step(disk: number, lba: number, version: number): number {
  return Math.imul(lba ^ Math.imul(version, 0x9e3779b1) ^ Math.imul(disk, 0x85ebca6b), 0xc2b2ae35) | 1;
}

/** Writes one sector's content at `word`. */
export function fillSector(words: Int32Array, word: number, disk: number, lba: number, version: number): void {
  if (isZeroVersion(version)) {
    words.fill(0, word, word + SECTOR_WORDS);
    return;
  }
  const add = step(disk, lba, version);
  let value = add;
  for (let index = 3; index < SECTOR_WORDS; index++) words[word + index] = value = (value + add) | 0;
  words[word + WORD_LBA] = lba;
  words[word + WORD_VERSION] = version;
  words[word + WORD_DISK] = disk;
}

/** Whether the sector at `word` is what `fillSector` would have written. */
export function isSector(words: Int32Array, word: number, disk: number, lba: number, version: number): boolean {
  if (isZeroVersion(version)) {
    for (let index = 0; index < SECTOR_WORDS; index++) if (words[word + index] !== 0) return false;
    return true;
  }
  if (words[word + WORD_LBA] !== lba || words[word + WORD_VERSION] !== version || words[word + WORD_DISK] !== disk) return false;
  const add = step(disk, lba, version);
  let value = add;
  for (let index = 3; index < SECTOR_WORDS; index++) if (words[word + index] !== (value = (value + add) | 0)) return false;
  return true;
}

/** What lies at `word`, for a failure's message. */
export function describeSector(words: Int32Array, word: number): string {
  const lba = words[word + WORD_LBA];
  const version = words[word + WORD_VERSION];
  const disk = words[word + WORD_DISK];
  if (isSector(words, word, disk, lba, VERSION_FIRST)) return 'zeros';
  const whole = isSector(words, word, disk, lba, version) ? '' : ' (damaged)';
  return `version ${version} of sector ${lba} of disk ${disk}${whole}`;
}

/** Version of a whole sector of its own disk and place; VERSION_FIRST for zeros. */
export function sectorVersion(words: Int32Array, word: number): number {
  const version = words[word + WORD_VERSION];
  return version === 0 ? VERSION_FIRST : version;
}
