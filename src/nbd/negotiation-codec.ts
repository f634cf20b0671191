import * as nbd from './constants.ts';
import * as layout from './layout.ts';

/**
 * Messages of fixed newstyle negotiation (doc/proto.md "Newstyle negotiation"). Encoders write every byte of their message at `at`
 * and return its length. Decoders look at nothing outside of `[at, at + lengthBytes)`.
 */

/** Sectors in 4 GiB: the high half of a size in bytes counts these. */
const SECTORS_PER_HIGH_UNIT = 2 ** 23;
const SECTOR_BYTES = 512;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function encodeGreeting(view: DataView, at: number): number {
  view.setUint32(at, nbd.NBD_MAGIC_HIGH);
  view.setUint32(at + 4, nbd.NBD_MAGIC_LOW);
  view.setUint32(at + layout.GREETING_OPTION_MAGIC, nbd.OPTION_MAGIC_HIGH);
  view.setUint32(at + layout.GREETING_OPTION_MAGIC + 4, nbd.OPTION_MAGIC_LOW);
  view.setUint16(at + layout.GREETING_FLAGS, nbd.HANDSHAKE_FIXED_NEWSTYLE | nbd.HANDSHAKE_NO_ZEROES);
  return layout.GREETING_BYTES;
}

/** True when the eight bytes at `at` are those that each option starts with. */
export function hasOptionMagic(view: DataView, at: number): boolean {
  return view.getUint32(at) === nbd.OPTION_MAGIC_HIGH && view.getUint32(at + 4) === nbd.OPTION_MAGIC_LOW;
}

/** An answer without data, or the header of one whose `dataBytes` follow. */
export function encodeOptionReply(view: DataView, at: number, option: number, type: number, dataBytes = 0): number {
  view.setUint32(at, nbd.OPTION_REPLY_MAGIC_HIGH);
  view.setUint32(at + 4, nbd.OPTION_REPLY_MAGIC_LOW);
  view.setUint32(at + layout.OPTION_REPLY_CODE, option);
  view.setUint32(at + layout.OPTION_REPLY_TYPE, type);
  view.setUint32(at + layout.OPTION_REPLY_LENGTH, dataBytes);
  return layout.OPTION_REPLY_DATA;
}

/** An answer that carries text: an error's message for a person. */
export function encodeTextReply(view: DataView, at: number, option: number, type: number, text: string): number {
  const textBytes = encodeText(view, at + layout.OPTION_REPLY_DATA, text);
  return encodeOptionReply(view, at, option, type, textBytes) + textBytes;
}

/** REP_SERVER: one export of a LIST. */
export function encodeServerReply(view: DataView, at: number, name: string): number {
  const nameBytes = encodeText(view, at + layout.OPTION_REPLY_DATA + 4, name);
  view.setUint32(at + layout.OPTION_REPLY_DATA, nameBytes);
  return encodeOptionReply(view, at, nbd.OPTION_LIST, nbd.REPLY_SERVER, 4 + nameBytes) + 4 + nameBytes;
}

/** REP_INFO, INFO_EXPORT: size and transmission flags. */
export function encodeInfoExport(view: DataView, at: number, option: number, sectors: number, flags: number): number {
  const data = at + encodeOptionReply(view, at, option, nbd.REPLY_INFO, 12);
  view.setUint16(data, nbd.INFO_EXPORT);
  encodeSize(view, data + 2, sectors);
  view.setUint16(data + 10, flags);
  return data + 12 - at;
}

/** REP_INFO, INFO_NAME: the name that the export goes by, which is not always the one asked for. */
export function encodeInfoName(view: DataView, at: number, option: number, name: string): number {
  const nameBytes = encodeText(view, at + layout.OPTION_REPLY_DATA + 2, name);
  view.setUint16(at + layout.OPTION_REPLY_DATA, nbd.INFO_NAME);
  return encodeOptionReply(view, at, option, nbd.REPLY_INFO, 2 + nameBytes) + 2 + nameBytes;
}

/** REP_INFO, INFO_BLOCK_SIZE: smallest, preferred and largest request in bytes. */
export function encodeInfoBlockSize(
  view: DataView,
  at: number,
  option: number,
  minBytes: number,
  preferredBytes: number,
  maxBytes: number,
): number {
  const data = at + encodeOptionReply(view, at, option, nbd.REPLY_INFO, 14);
  view.setUint16(data, nbd.INFO_BLOCK_SIZE);
  view.setUint32(data + 2, minBytes);
  view.setUint32(data + 6, preferredBytes);
  view.setUint32(data + 10, maxBytes);
  return data + 14 - at;
}

/** The whole answer to EXPORT_NAME, which has no header. */
export function encodeExportNameAnswer(view: DataView, at: number, sectors: number, flags: number, zeroes: boolean): number {
  encodeSize(view, at, sectors);
  view.setUint16(at + layout.EXPORT_NAME_FLAGS, flags);
  if (!zeroes) return layout.EXPORT_NAME_BYTES;
  for (let zero = 0; zero < nbd.EXPORT_NAME_ZEROES; zero++) view.setUint8(at + layout.EXPORT_NAME_BYTES + zero, 0);
  return layout.EXPORT_NAME_BYTES + nbd.EXPORT_NAME_ZEROES;
}

/** Data of an INFO or GO option: the export's name and the kinds of information wanted. */
export interface InfoRequest {
  readonly name: string;
  readonly wantsName: boolean;
  readonly wantsBlockSize: boolean;
}

/** Decodes the data of INFO or GO; undefined when its lengths don't add up. Unknown kinds of information are passed over. */
export function decodeInfoRequest(view: DataView, at: number, lengthBytes: number): InfoRequest | undefined {
  if (lengthBytes < 6) return undefined;
  const nameBytes = view.getUint32(at);
  if (nameBytes > nbd.STRING_BYTES_MAX || nameBytes > lengthBytes - 6) return undefined;
  const wishesAt = at + 4 + nameBytes;
  const wishes = view.getUint16(wishesAt);
  if (lengthBytes !== 4 + nameBytes + 2 + 2 * wishes) return undefined;

  const wanted = new Set<number>();
  for (let wish = 0; wish < wishes; wish++) wanted.add(view.getUint16(wishesAt + 2 + 2 * wish));
  return {
    name: decodeText(view, at + 4, nameBytes),
    wantsName: wanted.has(nbd.INFO_NAME),
    wantsBlockSize: wanted.has(nbd.INFO_BLOCK_SIZE),
  };
}

/** Bytes that are not UTF-8 become U+FFFD, which is in no export's name. */
export function decodeText(view: DataView, at: number, lengthBytes: number): string {
  return decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at, lengthBytes));
}

function encodeText(view: DataView, at: number, text: string): number {
  return encoder.encodeInto(text, new Uint8Array(view.buffer, view.byteOffset + at, nbd.STRING_BYTES_MAX)).written;
}

/** A size of 64 bits, from sectors so that it is exact beyond 2^53 bytes. */
function encodeSize(view: DataView, at: number, sectors: number): void {
  view.setUint32(at, Math.floor(sectors / SECTORS_PER_HIGH_UNIT));
  view.setUint32(at + 4, (sectors % SECTORS_PER_HIGH_UNIT) * SECTOR_BYTES);
}
