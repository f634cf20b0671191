import { MAC_BYTES } from './layout.ts';
import { SHELF_MAX, SLOT_MAX } from './constants.ts';

/** Where a target is: shelf (AoE's "major") and slot ("minor"). Never a wildcard. */
export interface TargetAddress {
  /** 0..SHELF_MAX */
  readonly shelf: number;
  /** 0..SLOT_MAX */
  readonly slot: number;
}

/**
 * A MAC address as a number of 48 bits, first octet on the wire most significant: compared, stored and used as a key
 * without an object.
 */
export type Mac = number;

export const MAC_BROADCAST: Mac = 0xffff_ffff_ffff;
/** The first octet's low bit marks group addresses (multicast and broadcast); no sender has one. */
const MAC_GROUP_BIT = 2 ** 40;

/** A text that should have named a target or an interface's MAC and does not. The message says what is expected. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

const TARGET = /^e(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,2})$/;
const MAC = /^[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i;

/**
 * Reads `e<shelf>.<slot>`, decimal, without leading zeros, so that one target has one name.
 * @throws AddressError when the text has another form or a number is out of range (65535 and 255 are AoE's wildcards).
 */
export function parseTargetAddress(text: string): TargetAddress {
  const match = TARGET.exec(text);
  if (match === null) {
    throw new AddressError(`'${text}' is not a target address; write e<shelf>.<slot>, for example e10.3`);
  }
  const shelf = Number(match[1]);
  const slot = Number(match[2]);
  if (shelf > SHELF_MAX) {
    throw new AddressError(`shelf ${shelf} of '${text}' is out of range; shelves are 0 to ${SHELF_MAX} (65535 means all)`);
  }
  if (slot > SLOT_MAX) {
    throw new AddressError(`slot ${slot} of '${text}' is out of range; slots are 0 to ${SLOT_MAX} (255 means all)`);
  }
  return { shelf, slot };
}

/** `e<shelf>.<slot>`, as people and /dev/etherd write it. */
export function formatTargetAddress(shelf: number, slot: number): string {
  return `e${shelf}.${slot}`;
}

/** Shelf and slot as one number, 24 bits, for maps and comparisons. */
export function targetKey(shelf: number, slot: number): number {
  return shelf * 256 + slot;
}

/**
 * Reads six hex octets, separated by `:` or `-` or by nothing.
 * @throws AddressError for another form.
 */
export function parseMac(text: string): Mac {
  if (!MAC.test(text)) {
    throw new AddressError(`'${text}' is not a MAC address; write six hex octets, for example 02:00:00:00:0a:01`);
  }
  return Number.parseInt(text.replaceAll(/[:-]/g, ''), 16);
}

/** `02:00:00:00:0a:01`, lower case. */
export function formatMac(mac: Mac): string {
  const digits = mac.toString(16).padStart(2 * MAC_BYTES, '0');
  return digits.replaceAll(/..(?!$)/g, '$&:');
}

/** Can be the address of one station: not a group address and not all zeros. */
export function isStationMac(mac: Mac): boolean {
  return mac !== 0 && Math.floor(mac / MAC_GROUP_BIT) % 2 === 0;
}

/** The MAC address at `offset`. The caller knows that six bytes are there. */
export function readMac(view: DataView, offset: number): Mac {
  return view.getUint16(offset) * 0x1_0000_0000 + view.getUint32(offset + 2);
}

export function writeMac(view: DataView, offset: number, mac: Mac): void {
  view.setUint16(offset, Math.floor(mac / 0x1_0000_0000));
  view.setUint32(offset + 2, mac % 0x1_0000_0000);
}
