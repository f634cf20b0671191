/**
 * Command 1, "query config information" (AoEr11 §3.2): discovery, and a string of up to 1,024 opaque bytes that the target
 * keeps and can set "only if empty or equal".
 *
 * ```
 *  24     26     28   29   30     32
 * | bufs | firm | SC | VC | len  | config string …
 *   bufs  messages the target can queue; more are dropped in silence       firm  firmware version
 *   SC    sectors per ATA command, 0 meaning 2 (older than jumbo frames)   VC    AoE version, config command
 * ```
 */
import { AOE_VERSION, CONFIG_STRING_BYTES_MAX, SECTORS_PER_FRAME_LEGACY } from './constants.ts';
import {
  CONFIG_BUFFER_COUNT,
  CONFIG_FIRMWARE,
  CONFIG_SECTOR_COUNT,
  CONFIG_STRING,
  CONFIG_STRING_LENGTH,
  CONFIG_VERSION_COMMAND,
} from './layout.ts';

/** What a target says in every config response, apart from its string. */
export interface ConfigFacts {
  /** Requests the target can queue; 0 is seen in the wild and means no more than 1. */
  readonly bufferCount: number;
  readonly firmware: number;
  /** Sectors per ATA frame, never 0 (see SECTORS_PER_FRAME_LEGACY). */
  readonly sectorsPerFrame: number;
}

export interface ConfigResponse extends ConfigFacts {
  /** The config command that this answers; kvblade always says read. */
  readonly command: number;
  /** A copy: it survives the frame. */
  readonly string: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** Writes the argument; `string` is at most CONFIG_STRING_BYTES_MAX bytes. @returns the frame's length, unpadded. */
export function writeConfigRequest(view: DataView, frameOffset: number, command: number, string: Uint8Array = EMPTY): number {
  return writeConfig(view, frameOffset, 0, 0, 0, command, string);
}

/** Writes the argument; `string` is at most CONFIG_STRING_BYTES_MAX bytes. @returns the frame's length, unpadded. */
export function writeConfigResponse(
  view: DataView,
  frameOffset: number,
  facts: ConfigFacts,
  command: number,
  string: Uint8Array,
): number {
  return writeConfig(view, frameOffset, facts.bufferCount, facts.firmware, facts.sectorsPerFrame, command, string);
}

function writeConfig(
  view: DataView,
  frameOffset: number,
  bufferCount: number,
  firmware: number,
  sectorsPerFrame: number,
  command: number,
  string: Uint8Array,
): number {
  view.setUint16(frameOffset + CONFIG_BUFFER_COUNT, bufferCount);
  view.setUint16(frameOffset + CONFIG_FIRMWARE, firmware);
  view.setUint8(frameOffset + CONFIG_SECTOR_COUNT, sectorsPerFrame);
  view.setUint8(frameOffset + CONFIG_VERSION_COMMAND, (AOE_VERSION << 4) | command);
  view.setUint16(frameOffset + CONFIG_STRING_LENGTH, string.length);
  for (let at = 0; at < string.length; at++) view.setUint8(frameOffset + CONFIG_STRING + at, string[at]);
  return CONFIG_STRING + string.length;
}

/**
 * Reads the argument of a response of `length` bytes that `checkResponse` accepted.
 * @returns undefined when the frame is too short for what it claims to hold, or claims more than AoE allows.
 */
export function readConfigResponse(view: DataView, frameOffset: number, length: number): ConfigResponse | undefined {
  // An error response may have passed the check with nothing behind its header.
  if (length < CONFIG_STRING) return undefined;
  const string = copyString(view, frameOffset, length);
  if (string === undefined) return undefined;
  const sectorsPerFrame = view.getUint8(frameOffset + CONFIG_SECTOR_COUNT);
  return {
    bufferCount: view.getUint16(frameOffset + CONFIG_BUFFER_COUNT),
    firmware: view.getUint16(frameOffset + CONFIG_FIRMWARE),
    sectorsPerFrame: sectorsPerFrame === 0 ? SECTORS_PER_FRAME_LEGACY : sectorsPerFrame,
    command: view.getUint8(frameOffset + CONFIG_VERSION_COMMAND) & 0x0f,
    string,
  };
}

/** Config command of a request that `checkRequest` accepted. Read needs nothing more: aoeping sends junk behind it. */
export function readConfigCommand(view: DataView, frameOffset: number): number {
  return view.getUint8(frameOffset + CONFIG_VERSION_COMMAND) & 0x0f;
}

/** The request's string, copied; undefined when it is longer than the frame or than AoE allows. */
export function readConfigRequestString(view: DataView, frameOffset: number, length: number): Uint8Array | undefined {
  return length < CONFIG_STRING ? undefined : copyString(view, frameOffset, length);
}

function copyString(view: DataView, frameOffset: number, length: number): Uint8Array | undefined {
  const stringBytes = view.getUint16(frameOffset + CONFIG_STRING_LENGTH);
  if (stringBytes > CONFIG_STRING_BYTES_MAX || CONFIG_STRING + stringBytes > length) return undefined;
  return new Uint8Array(view.buffer, view.byteOffset + frameOffset + CONFIG_STRING, stringBytes).slice();
}

/**
 * A config string for people: printable ASCII as it is, everything else (and the backslash) as `\xNN`. Strings come from
 * strangers on the network and end up in terminals.
 */
export function configStringText(string: Uint8Array): string {
  let text = '';
  for (const code of string) {
    const plain = code >= 0x20 && code < 0x7f && code !== 0x5c;
    text += plain ? String.fromCharCode(code) : `\\x${code.toString(16).padStart(2, '0')}`;
  }
  return text;
}
