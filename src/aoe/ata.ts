/**
 * Command 0, "issue ATA command" (AoEr11 §3.1): one frame is one complete ATA command on sectors of 512 bytes.
 *
 * ```
 *  24   25   26   27   28                            34     36
 * | AF | EF | SC | CS | lba0 lba1 lba2 lba3 lba4 lba5 | 0 0 | data …              |
 *   AF  E 0x40 (48-bit LBA), D 0x10, A 0x02 (never set here: it permits early answers), W 0x01 (data goes to the device)
 *   EF  feature in a request, error register in a response        SC  sectors; meaningless in responses
 *   CS  command in a request, status register in a response       lba0 is the least significant byte
 * ```
 */
import {
  ATA_DATA_SET_MANAGEMENT,
  ATA_FEATURE_TRIM,
  ATA_FLAG_EXTENDED,
  ATA_FLAG_WRITE,
  ATA_FLUSH,
  ATA_FLUSH_EXT,
  ATA_IDENTIFY,
  ATA_READ,
  ATA_READ_EXT,
  ATA_STATUS_FAILURE,
  ATA_WRITE,
  ATA_WRITE_EXT,
  LBA28_DEVICE_BITS,
} from './constants.ts';
import { ATA_COMMAND, ATA_COUNT, ATA_DATA, ATA_FEATURE, ATA_FLAGS, ATA_LBA, ATA_RESERVED } from './layout.ts';

/** Bytes of one range in a DATA SET MANAGEMENT block: 48-bit LBA, 16-bit sector count, both little endian. */
export const TRIM_RANGE_BYTES = 8;

/** A number below 2^48 as six bytes, least significant first. */
export function writeLba48(view: DataView, offset: number, lba: number): void {
  view.setUint32(offset, lba % 0x1_0000_0000, true);
  view.setUint16(offset + 4, Math.floor(lba / 0x1_0000_0000), true);
}

export function readLba48(view: DataView, offset: number): number {
  return view.getUint16(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
}

/** A number below 2^28; the device bits go above it, as disks and the Linux driver have them, and lba4 and lba5 are zero. */
export function writeLba28(view: DataView, offset: number, lba: number): void {
  view.setUint32(offset, (lba | (LBA28_DEVICE_BITS << 24)) >>> 0, true);
  view.setUint16(offset + 4, 0);
}

/** Only 28 bits count: what is above them is the device register's. */
export function readLba28(view: DataView, offset: number): number {
  return view.getUint32(offset, true) & 0x0fff_ffff;
}

/** The twelve bytes of the ATA argument, before any data. `lba` is written as 48 bits when `flags` has ATA_FLAG_EXTENDED. */
export function writeAtaArgument(
  view: DataView,
  frameOffset: number,
  flags: number,
  feature: number,
  sectors: number,
  opcode: number,
  lba: number,
): void {
  view.setUint8(frameOffset + ATA_FLAGS, flags);
  view.setUint8(frameOffset + ATA_FEATURE, feature);
  view.setUint8(frameOffset + ATA_COUNT, sectors);
  view.setUint8(frameOffset + ATA_COMMAND, opcode);
  if ((flags & ATA_FLAG_EXTENDED) !== 0) writeLba48(view, frameOffset + ATA_LBA, lba);
  else writeLba28(view, frameOffset + ATA_LBA, lba);
  view.setUint16(frameOffset + ATA_RESERVED, 0);
}

/** Read of `sectors` (1..255). Opcode and E flag always agree: vblade goes by the one, ggaoed and qaoed by the other. */
export function writeReadRequest(view: DataView, frameOffset: number, lba: number, sectors: number, extended: boolean): void {
  if (extended) writeAtaArgument(view, frameOffset, ATA_FLAG_EXTENDED, 0, sectors, ATA_READ_EXT, lba);
  else writeAtaArgument(view, frameOffset, 0, 0, sectors, ATA_READ, lba);
}

/** Write of `sectors` (1..255), whose data follows at ATA_DATA. */
export function writeWriteRequest(view: DataView, frameOffset: number, lba: number, sectors: number, extended: boolean): void {
  if (extended) writeAtaArgument(view, frameOffset, ATA_FLAG_EXTENDED | ATA_FLAG_WRITE, 0, sectors, ATA_WRITE_EXT, lba);
  else writeAtaArgument(view, frameOffset, ATA_FLAG_WRITE, 0, sectors, ATA_WRITE, lba);
}

/** FLUSH CACHE EXT or FLUSH CACHE, whichever the target's IDENTIFY offers (see identify.ts, `flush`). */
export function writeFlushRequest(view: DataView, frameOffset: number, extended: boolean): void {
  if (extended) writeAtaArgument(view, frameOffset, ATA_FLAG_EXTENDED, 0, 0, ATA_FLUSH_EXT, 0);
  else writeAtaArgument(view, frameOffset, 0, 0, 0, ATA_FLUSH, 0);
}

/** IDENTIFY DEVICE; the count must be 1 (vblade and ggaoed refuse others). */
export function writeIdentifyRequest(view: DataView, frameOffset: number): void {
  writeAtaArgument(view, frameOffset, 0, 0, 1, ATA_IDENTIFY, 0);
}

/** DATA SET MANAGEMENT with trim: `blocks` blocks of 64 ranges follow at ATA_DATA (see writeTrimRange). */
export function writeTrimRequest(view: DataView, frameOffset: number, blocks: number): void {
  const flags = ATA_FLAG_EXTENDED | ATA_FLAG_WRITE;
  writeAtaArgument(view, frameOffset, flags, ATA_FEATURE_TRIM, blocks, ATA_DATA_SET_MANAGEMENT, 0);
}

/**
 * Range number `index` of the trim data that begins at `dataOffset`: up to TRIM_RANGE_SECTORS_MAX sectors. Unused ranges of
 * a block must be zero; a range of 0 sectors means nothing.
 */
export function writeTrimRange(view: DataView, dataOffset: number, index: number, lba: number, sectors: number): void {
  const offset = dataOffset + index * TRIM_RANGE_BYTES;
  writeLba48(view, offset, lba);
  view.setUint16(offset + 6, sectors, true);
}

export function readTrimRangeLba(view: DataView, dataOffset: number, index: number): number {
  return readLba48(view, dataOffset + index * TRIM_RANGE_BYTES);
}

export function readTrimRangeSectors(view: DataView, dataOffset: number, index: number): number {
  return view.getUint16(dataOffset + index * TRIM_RANGE_BYTES + 6, true);
}

/** What a target reads from an ATA request; one object, filled again for each frame. */
export class AtaRequest {
  flags = 0;
  feature = 0;
  /** As sent: 0 means zero sectors, not 256. */
  sectors = 0;
  opcode = 0;
  lba = 0;
  /** Bytes behind the argument, padding included. */
  dataLength = 0;
}

/** True for opcodes whose LBA has 48 bits. The opcode decides, as in ATA itself; the E flag only repeats it. */
export function isExtended(opcode: number): boolean {
  return opcode === ATA_READ_EXT || opcode === ATA_WRITE_EXT || opcode === ATA_FLUSH_EXT || opcode === ATA_DATA_SET_MANAGEMENT;
}

/** Fills `into` from a frame that `checkRequest` accepted. */
export function readAtaRequest(view: DataView, frameOffset: number, length: number, into: AtaRequest): void {
  into.flags = view.getUint8(frameOffset + ATA_FLAGS);
  into.feature = view.getUint8(frameOffset + ATA_FEATURE);
  into.sectors = view.getUint8(frameOffset + ATA_COUNT);
  into.opcode = view.getUint8(frameOffset + ATA_COMMAND);
  const lbaOffset = frameOffset + ATA_LBA;
  into.lba = isExtended(into.opcode) ? readLba48(view, lbaOffset) : readLba28(view, lbaOffset);
  into.dataLength = length - ATA_DATA;
}

/** Status and error register of a response, over what the request had in their places. The rest stays as it was sent. */
export function writeAtaStatus(view: DataView, frameOffset: number, status: number, error: number): void {
  view.setUint8(frameOffset + ATA_FEATURE, error);
  view.setUint8(frameOffset + ATA_COMMAND, status);
}

/** What an initiator reads from an ATA response; one object, filled again for each frame. */
export class AtaResponse {
  status = 0;
  /** Meaningful only when `status` has ATA_STATUS_ERR: vblade leaves it uninitialised otherwise. */
  error = 0;
  /**
   * Bytes behind the argument, padding included: data when at least what was asked for, a lost frame when less (vblade
   * answers a read with the W flag without any). The response's sector count says nothing: targets disagree about it.
   */
  dataLength = 0;
}

/** Fills `into` from a response without the E flag that `checkResponse` accepted. */
export function readAtaResponse(view: DataView, frameOffset: number, length: number, into: AtaResponse): void {
  into.status = view.getUint8(frameOffset + ATA_COMMAND);
  into.error = view.getUint8(frameOffset + ATA_FEATURE);
  into.dataLength = length - ATA_DATA;
}

/** The disk did not do it. DRDY is not asked for: vblade acknowledges a flush with status 0. */
export function ataFailed(status: number): boolean {
  return (status & ATA_STATUS_FAILURE) !== 0;
}
