/**
 * The 512 bytes that IDENTIFY DEVICE returns (ACS-3 §7.12): 256 words, little endian, numbered as the standard does.
 * Read once per attach and written once per request for it, so objects are fine here.
 */
import { LBA28_SECTORS_MAX, SECTOR_BYTES } from './constants.ts';
import { readLba48, writeLba48 } from './ata.ts';

export const IDENTIFY_BYTES = 512;

const WORD_SERIAL = 10;
const WORD_FIRMWARE = 23;
const WORD_MODEL = 27;
const WORD_CAPABILITIES = 49;
const WORD_VALIDITY = 53;
const WORD_SECTORS_28 = 60;
const WORD_TRIM_SEMANTICS = 69;
const WORD_MAJOR_VERSION = 80;
const WORD_SUPPORTED_82 = 82;
const WORD_SUPPORTED_83 = 83;
const WORD_SUPPORTED_84 = 84;
const WORD_ENABLED_85 = 85;
const WORD_ENABLED_86 = 86;
const WORD_ENABLED_87 = 87;
const WORD_SECTORS_48 = 100;
const WORD_TRIM_BLOCKS = 105;
const WORD_SECTOR_SIZE = 106;
const WORD_LOGICAL_SECTOR_WORDS = 117;
const WORD_TRIM = 169;
const WORD_ROTATION = 217;
const WORD_CHECKSUM = 255;

const SERIAL_CHARS = 20;
const FIRMWARE_CHARS = 8;
const MODEL_CHARS = 40;

const CAPABILITY_LBA = 1 << 9;
const CAPABILITY_DMA = 1 << 8;
const VALID_WORDS_64_TO_70 = 1 << 1;
const WRITE_CACHE = 1 << 5;
const LBA48 = 1 << 10;
const FLUSH = 1 << 12;
const FLUSH_EXT = 1 << 13;
/** Words 83, 84, 87 and 106 mean something when their two top bits are 01. */
const VALID_MASK = 0xc000;
const VALID = 0x4000;
const TRIM_DETERMINISTIC = 1 << 14;
const TRIM_ZEROES = 1 << 5;
const PHYSICAL_EXPONENT_VALID = 1 << 13;
const LOGICAL_SIZE_VALID = 1 << 12;
const TRIM_SUPPORTED = 1;
const ROTATION_NONE = 1;
const ROTATION_UNREPORTED = 0;
/** ATA8-ACS, ACS-2 and ACS-3, bits 8 to 10. */
const MAJOR_VERSIONS = 0x0700;
const CHECKSUM_SIGNATURE = 0xa5;
/** A logical sector larger than this is a damaged block, not a disk. */
const LOGICAL_SECTOR_BYTES_MAX = 65_536;

/** How the disk writes its cache to the medium: FLUSH CACHE EXT, FLUSH CACHE, or not on command. */
export type FlushKind = 'ext' | 'plain' | 'none';

/** What a target says about itself. */
export interface Identity {
  /** Up to 20 characters. vblade's is `shelf.slot:hostname`: not unique per backing file. */
  readonly serial: string;
  /** Up to 8 characters. */
  readonly firmware: string;
  /** Up to 40 characters. */
  readonly model: string;
  /** Size in sectors of 512 bytes, below 2^48. */
  readonly sectors: number;
  readonly lba48: boolean;
  readonly flush: FlushKind;
  readonly trim: boolean;
  /** Most 512-byte blocks of ranges in one trim; 0 where the disk does not say. */
  readonly trimBlocksMax: number;
  /** Trimmed sectors read as zeros, always. */
  readonly readZeroAfterTrim: boolean;
  /** The disk's own sector sizes. AoE counts in 512 bytes whatever these say; writes aligned to the physical one are cheaper. */
  readonly physicalSectorBytes: number;
  readonly logicalSectorBytes: number;
  /** False only when the disk says that it does not rotate. */
  readonly rotational: boolean;
}

/**
 * Reads the block at `offset`, of which `length` bytes are there. Its checksum says nothing: software targets do not fill it.
 * @returns undefined when those are fewer than 512. Every block of 512 bytes decodes to something; whether it makes sense
 * (a size of 0, say) is the caller's question.
 */
export function decodeIdentify(view: DataView, offset: number, length: number): Identity | undefined {
  if (length < IDENTIFY_BYTES) return undefined;
  const word = (index: number): number => view.getUint16(offset + 2 * index, true);
  const features = word(WORD_SUPPORTED_83) | word(WORD_ENABLED_86);
  // The Linux driver takes LBA48 from either word without asking for validity; some target may count on it.
  const lba48 = (features & LBA48) !== 0;
  const featuresValid = (word(WORD_SUPPORTED_83) & VALID_MASK) === VALID;
  const logicalSectorBytes = logicalSector(word(WORD_SECTOR_SIZE), view.getUint32(offset + 2 * WORD_LOGICAL_SECTOR_WORDS, true));
  const trim = (word(WORD_TRIM) & TRIM_SUPPORTED) !== 0 && word(WORD_TRIM) !== 0xffff;
  return {
    serial: readString(view, offset + 2 * WORD_SERIAL, SERIAL_CHARS),
    firmware: readString(view, offset + 2 * WORD_FIRMWARE, FIRMWARE_CHARS),
    model: readString(view, offset + 2 * WORD_MODEL, MODEL_CHARS),
    sectors: lba48
      ? readLba48(view, offset + 2 * WORD_SECTORS_48)
      : view.getUint32(offset + 2 * WORD_SECTORS_28, true) & 0x0fff_ffff,
    lba48,
    flush: featuresValid ? flushKind(features) : 'none',
    trim,
    trimBlocksMax: trim ? word(WORD_TRIM_BLOCKS) : 0,
    readZeroAfterTrim:
      trim && (word(WORD_TRIM_SEMANTICS) & TRIM_DETERMINISTIC) !== 0 && (word(WORD_TRIM_SEMANTICS) & TRIM_ZEROES) !== 0,
    physicalSectorBytes: logicalSectorBytes * 2 ** physicalExponent(word(WORD_SECTOR_SIZE)),
    logicalSectorBytes,
    rotational: word(WORD_ROTATION) !== ROTATION_NONE,
  };
}

/**
 * Writes the block at `offset`, all 512 bytes, with its checksum. Strings that are too long are cut, characters outside
 * printable ASCII become `?`. Sizes beyond 2^28 sectors fill the 28-bit field with its maximum, as disks do.
 */
export function encodeIdentify(view: DataView, offset: number, identity: Identity): void {
  for (let at = 0; at < IDENTIFY_BYTES; at += 4) view.setUint32(offset + at, 0);
  const word = (index: number, value: number): void => view.setUint16(offset + 2 * index, value, true);
  writeString(view, offset + 2 * WORD_SERIAL, SERIAL_CHARS, identity.serial);
  writeString(view, offset + 2 * WORD_FIRMWARE, FIRMWARE_CHARS, identity.firmware);
  writeString(view, offset + 2 * WORD_MODEL, MODEL_CHARS, identity.model);
  word(WORD_CAPABILITIES, CAPABILITY_LBA | CAPABILITY_DMA);
  word(WORD_VALIDITY, VALID_WORDS_64_TO_70);
  view.setUint32(offset + 2 * WORD_SECTORS_28, Math.min(identity.sectors, LBA28_SECTORS_MAX - 1), true);
  word(WORD_MAJOR_VERSION, MAJOR_VERSIONS);
  writeFeatures(word, identity);
  if (identity.lba48) writeLba48(view, offset + 2 * WORD_SECTORS_48, identity.sectors);
  if (identity.trim) {
    word(WORD_TRIM, TRIM_SUPPORTED);
    word(WORD_TRIM_BLOCKS, identity.trimBlocksMax);
    word(WORD_TRIM_SEMANTICS, identity.readZeroAfterTrim ? TRIM_DETERMINISTIC | TRIM_ZEROES : 0);
  }
  const exponent = Math.log2(identity.physicalSectorBytes / identity.logicalSectorBytes);
  const longLogical = identity.logicalSectorBytes === SECTOR_BYTES ? 0 : LOGICAL_SIZE_VALID;
  word(WORD_SECTOR_SIZE, VALID | longLogical | (exponent > 0 ? PHYSICAL_EXPONENT_VALID | exponent : 0));
  if (longLogical !== 0) view.setUint32(offset + 2 * WORD_LOGICAL_SECTOR_WORDS, identity.logicalSectorBytes / 2, true);
  word(WORD_ROTATION, identity.rotational ? ROTATION_UNREPORTED : ROTATION_NONE);
  view.setUint8(offset + 2 * WORD_CHECKSUM, CHECKSUM_SIGNATURE);
  view.setUint8(offset + 2 * WORD_CHECKSUM + 1, -sumBytes(view, offset) & 0xff);
}

function writeFeatures(word: (index: number, value: number) => void, identity: Identity): void {
  const flush = identity.flush === 'none' ? 0 : identity.flush === 'plain' ? FLUSH : FLUSH | FLUSH_EXT;
  const features = (identity.lba48 ? LBA48 : 0) | flush;
  const cache = flush === 0 ? 0 : WRITE_CACHE;
  word(WORD_SUPPORTED_82, cache);
  word(WORD_SUPPORTED_83, VALID | features);
  word(WORD_SUPPORTED_84, VALID);
  word(WORD_ENABLED_85, cache);
  word(WORD_ENABLED_86, features);
  word(WORD_ENABLED_87, VALID);
}

function flushKind(features: number): FlushKind {
  if ((features & FLUSH_EXT) !== 0) return 'ext';
  return (features & FLUSH) !== 0 ? 'plain' : 'none';
}

function physicalExponent(word106: number): number {
  const valid = (word106 & VALID_MASK) === VALID && (word106 & PHYSICAL_EXPONENT_VALID) !== 0;
  return valid ? word106 & 0xf : 0;
}

function logicalSector(word106: number, words: number): number {
  if ((word106 & VALID_MASK) !== VALID || (word106 & LOGICAL_SIZE_VALID) === 0) return SECTOR_BYTES;
  const sizeBytes = words * 2;
  return sizeBytes >= SECTOR_BYTES && sizeBytes <= LOGICAL_SECTOR_BYTES_MAX ? sizeBytes : SECTOR_BYTES;
}

/** Sum of the block's bytes modulo 256; a valid checksum makes it 0. */
function sumBytes(view: DataView, offset: number): number {
  let sum = 0;
  for (let at = 0; at < IDENTIFY_BYTES; at++) sum += view.getUint8(offset + at);
  return sum & 0xff;
}

/**
 * ATA strings have their first character in the high byte of the first word, so bytes are swapped in pairs; padded with
 * spaces. What is not printable ASCII reads as `.`: these strings end up in logs, labels and terminals.
 */
function readString(view: DataView, offset: number, chars: number): string {
  let text = '';
  for (let at = 0; at < chars; at++) {
    const code = view.getUint8(offset + (at ^ 1));
    text += code === 0 ? ' ' : code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '.';
  }
  return text.trim();
}

function writeString(view: DataView, offset: number, chars: number, text: string): void {
  for (let at = 0; at < chars; at++) {
    const code = at < text.length ? text.charCodeAt(at) : 0x20;
    view.setUint8(offset + (at ^ 1), code >= 0x20 && code < 0x7f ? code : 0x3f);
  }
}
