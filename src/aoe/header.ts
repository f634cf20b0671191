/**
 * The header that every AoE frame starts with (AoEr11 §2; picture in layout.ts): writers, and the one place that decides
 * whether received bytes are an AoE frame at all. After a check the fields it covers can be read without looking again.
 */
import { writeMac, type Mac } from './address.ts';
import {
  AOE_VERSION,
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_MASK,
  COMMAND_RESERVE,
  ETHERTYPE_AOE,
  FLAG_ERROR,
  FLAG_RESPONSE,
} from './constants.ts';
import {
  ARGUMENT,
  ATA_DATA,
  COMMAND,
  CONFIG_STRING,
  DST_MAC,
  ERROR,
  ETHERTYPE,
  FRAME_BYTES_MIN,
  MASK_DIRECTIVES,
  RESERVE_MACS,
  SHELF,
  SLOT,
  SRC_MAC,
  TAG,
  VERSION_FLAGS,
} from './layout.ts';

/** Why a frame is not looked at; counted per reason by whoever receives. */
export const FRAME_OK = 0;
export const REFUSED_SHORT = 1;
export const REFUSED_ETHERTYPE = 2;
export const REFUSED_VERSION = 3;
export const REFUSED_DIRECTION = 4;
export const REFUSED_ARGUMENT = 5;

export type FrameRefusal = 0 | 1 | 2 | 3 | 4 | 5;
/** Number of FrameRefusal values, for arrays of counters. */
export const FRAME_REFUSALS = 6;

const REFUSAL_NAMES: Record<FrameRefusal, string> = {
  [FRAME_OK]: 'ok',
  [REFUSED_SHORT]: 'shorter than an AoE header',
  [REFUSED_ETHERTYPE]: 'not AoE (EtherType)',
  [REFUSED_VERSION]: 'unsupported AoE version',
  [REFUSED_DIRECTION]: 'request where a response was expected, or the reverse',
  [REFUSED_ARGUMENT]: 'ends inside its command argument',
};

export function frameRefusalName(refusal: FrameRefusal): string {
  return REFUSAL_NAMES[refusal];
}

/** Destination, source and EtherType: the first 14 bytes. */
export function writeEthernet(view: DataView, frameOffset: number, destination: Mac, source: Mac): void {
  writeMac(view, frameOffset + DST_MAC, destination);
  writeMac(view, frameOffset + SRC_MAC, source);
  view.setUint16(frameOffset + ETHERTYPE, ETHERTYPE_AOE);
}

/** Bytes 14 to 23. `versionFlags` is one of the VERSION_FLAGS_… bytes; `error` is 0 unless that says error. */
export function writeCommon(
  view: DataView,
  frameOffset: number,
  versionFlags: number,
  error: number,
  shelf: number,
  slot: number,
  command: number,
  tag: number,
): void {
  view.setUint8(frameOffset + VERSION_FLAGS, versionFlags);
  view.setUint8(frameOffset + ERROR, error);
  view.setUint16(frameOffset + SHELF, shelf);
  view.setUint8(frameOffset + SLOT, slot);
  view.setUint8(frameOffset + COMMAND, command);
  view.setUint32(frameOffset + TAG, tag);
}

/**
 * Pads a frame of `length` bytes with zeros to Ethernet's minimum and returns the length to send. Network cards do it by
 * themselves, veth and bridges do not, and some receivers insist.
 */
export function padFrame(bytes: Uint8Array, frameOffset: number, length: number): number {
  if (length >= FRAME_BYTES_MIN) return length;
  bytes.fill(0, frameOffset + length, frameOffset + FRAME_BYTES_MIN);
  return FRAME_BYTES_MIN;
}

/** Bytes before a command's variable part; commands we do not know have none. */
function argumentEnd(command: number): number {
  switch (command) {
    case COMMAND_ATA:
      return ATA_DATA;
    case COMMAND_CONFIG:
      return CONFIG_STRING;
    case COMMAND_MASK:
      return MASK_DIRECTIVES;
    case COMMAND_RESERVE:
      return RESERVE_MACS;
    default:
      return ARGUMENT;
  }
}

/**
 * Looks at a received frame of `length` bytes whatever its direction: 0 when it is AoE, else why not. Frames shorter than
 * Ethernet's minimum are fine (veth does not pad). The fixed part of a known command's argument is then present too, except
 * in error responses, which may end after the header (ggaoed): look at the E flag before the argument.
 *
 * Versions: a response must say 1. vblade's announcements say 0, so config responses may; a request may say anything,
 * since refusing one takes an answer (AOE_ERROR_BAD_VERSION).
 */
export function checkFrame(view: DataView, frameOffset: number, length: number): FrameRefusal {
  if (length < ARGUMENT) return REFUSED_SHORT;
  if (view.getUint16(frameOffset + ETHERTYPE) !== ETHERTYPE_AOE) return REFUSED_ETHERTYPE;
  const versionFlags = view.getUint8(frameOffset + VERSION_FLAGS);
  const command = view.getUint8(frameOffset + COMMAND);
  if ((versionFlags & FLAG_RESPONSE) !== 0) {
    const version = versionFlags >> 4;
    if (version !== AOE_VERSION && !(version === 0 && command === COMMAND_CONFIG)) return REFUSED_VERSION;
    if ((versionFlags & FLAG_ERROR) !== 0) return FRAME_OK;
  }
  return length < argumentEnd(command) ? REFUSED_ARGUMENT : FRAME_OK;
}

/** checkFrame for an initiator: only responses. On `lo` an initiator receives its own requests. */
export function checkResponse(view: DataView, frameOffset: number, length: number): FrameRefusal {
  const refusal = checkFrame(view, frameOffset, length);
  if (refusal !== FRAME_OK) return refusal;
  return (view.getUint8(frameOffset + VERSION_FLAGS) & FLAG_RESPONSE) !== 0 ? FRAME_OK : REFUSED_DIRECTION;
}

/** checkFrame for a target: only requests, of any version. */
export function checkRequest(view: DataView, frameOffset: number, length: number): FrameRefusal {
  const refusal = checkFrame(view, frameOffset, length);
  if (refusal !== FRAME_OK) return refusal;
  return (view.getUint8(frameOffset + VERSION_FLAGS) & FLAG_RESPONSE) === 0 ? FRAME_OK : REFUSED_DIRECTION;
}
