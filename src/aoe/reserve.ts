/**
 * Command 3, reserve/release (AoEr11 §3.4): who may send ATA commands to the target. Others are refused with
 * AOE_ERROR_RESERVED, IDENTIFY excepted. "Set" succeeds when the list is empty or holds the sender; "force set" always.
 *
 * ```
 *  24   25   26
 * | RC | NM | MAC × NM …
 *   RC  read 0, set 1, force set 2      NM  number of MACs; setting none releases
 * ```
 */
import { readMac, writeMac, type Mac } from './address.ts';
import { RESERVE_ENTRIES_MAX } from './constants.ts';
import { MAC_BYTES, RESERVE_COMMAND, RESERVE_COUNT, RESERVE_MACS } from './layout.ts';

/** A request or response; both have the same form. */
export interface ReserveMessage {
  readonly command: number;
  readonly macs: readonly Mac[];
}

/** Longest frame of this command, unpadded. */
export const RESERVE_FRAME_BYTES_MAX = RESERVE_MACS + RESERVE_ENTRIES_MAX * MAC_BYTES;

/** Writes the argument; `macs` are at most RESERVE_ENTRIES_MAX. @returns the frame's length, unpadded. */
export function writeReserve(view: DataView, frameOffset: number, command: number, macs: readonly Mac[]): number {
  view.setUint8(frameOffset + RESERVE_COMMAND, command);
  view.setUint8(frameOffset + RESERVE_COUNT, macs.length);
  let end = RESERVE_MACS;
  for (const mac of macs) {
    writeMac(view, frameOffset + end, mac);
    end += MAC_BYTES;
  }
  return end;
}

/**
 * Reads a request or response of `length` bytes that `checkFrame` accepted. Bytes behind the last MAC are padding, which
 * tcpdump and mdlayher/aoe take for an error.
 * @returns undefined when the frame is too short for the MACs it claims.
 */
export function readReserve(view: DataView, frameOffset: number, length: number): ReserveMessage | undefined {
  if (length < RESERVE_MACS) return undefined;
  const count = view.getUint8(frameOffset + RESERVE_COUNT);
  if (RESERVE_MACS + count * MAC_BYTES > length) return undefined;
  const macs: Mac[] = [];
  for (let index = 0; index < count; index++) macs.push(readMac(view, frameOffset + RESERVE_MACS + index * MAC_BYTES));
  return { command: view.getUint8(frameOffset + RESERVE_COMMAND), macs };
}
