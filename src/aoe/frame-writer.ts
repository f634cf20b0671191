/**
 * Writes the frames of the hot path: nine 32-bit stores for a header, most of them prepared per path. The picture of a frame is in
 * layout.ts; ata.ts and header.ts hold the readable codec, which tests compare with this one.
 */
import type { Arena } from '../buffers/arena.ts';
import type { Mac } from './address.ts';
import { writeConfigRequest } from './config.ts';
import { CONFIG_READ, COMMAND_CONFIG, LBA28_DEVICE_BITS, VERSION_FLAGS_REQUEST } from './constants.ts';
import { padFrame, writeCommon, writeEthernet } from './header.ts';
import type { Path } from './path.ts';

/**
 * Header of an ATA request at `at`, 36 bytes. `argument` holds the four bytes flags, feature, sector count and opcode, first one
 * highest. The LBA takes its 28- or 48-bit form by `extended`.
 */
export function writeAtaHeader(
  view: DataView,
  at: number,
  path: Path,
  tag: number,
  argument: number,
  lba: number,
  extended: boolean,
): void {
  const words = path.headerWords;
  view.setUint32(at, words[0]);
  view.setUint32(at + 4, words[1]);
  view.setUint32(at + 8, words[2]);
  view.setUint32(at + 12, words[3]);
  view.setUint32(at + 16, words[4]);
  view.setInt32(at + 20, tag);
  view.setInt32(at + 24, argument);
  if (extended) {
    view.setUint32(at + 28, lba >>> 0, true);
    view.setUint32(at + 32, Math.floor(lba / 0x1_0000_0000), true);
  } else {
    view.setUint32(at + 28, lba | (LBA28_DEVICE_BITS << 24), true);
    view.setUint32(at + 32, 0);
  }
}

/** The four argument bytes of an ATA request as `writeAtaHeader` wants them. */
export function ataArgument(flags: number, feature: number, sectors: number, opcode: number): number {
  return (flags << 24) | (feature << 16) | (sectors << 8) | opcode;
}

/** A query-config read at `at`, to one MAC or to all, with zeros up to Ethernet's minimum: an ATA header may have stood there. */
export function writeConfigQuery(arena: Arena, at: number, to: Mac, from: Mac, shelf: number, slot: number, tag: number): void {
  writeEthernet(arena.view, at, to, from);
  writeCommon(arena.view, at, VERSION_FLAGS_REQUEST, 0, shelf, slot, COMMAND_CONFIG, tag >>> 0);
  padFrame(arena.bytes, at, writeConfigRequest(arena.view, at, CONFIG_READ));
}
