/**
 * Command 2, the MAC mask list (AoEr11 §3.3): who may talk to the target at all. Empty means everybody; everybody else gets
 * no answer of any kind, to this command neither.
 *
 * ```
 *  24   25   26   27   28
 * | 0  | MC | ME | DC | (0, directive, MAC) × DC …
 *   MC  read 0, edit 1      ME  error, in responses      DC  directives; after a failed edit: how many were carried out
 * ```
 */
import { readMac, writeMac, type Mac } from './address.ts';
import { MASK_DIRECTIVE_NONE, MASK_EDIT, MASK_ENTRIES_MAX, MASK_READ } from './constants.ts';
import { ARGUMENT, MASK_COMMAND, MASK_COUNT, MASK_DIRECTIVE_BYTES, MASK_DIRECTIVES, MASK_ERROR } from './layout.ts';

/** One step of an edit, carried out in order. */
export interface MaskDirective {
  /** MASK_DIRECTIVE_ADD or MASK_DIRECTIVE_DELETE; a peer may send anything. */
  readonly directive: number;
  readonly mac: Mac;
}

export interface MaskMessage {
  readonly command: number;
  /** MASK_ERROR_… of a response; 0 when the edit was carried out, and in requests. */
  readonly error: number;
  /** As sent: length of the list, or directives carried out when `error` is set. */
  readonly count: number;
  /** In a response without error: the whole list (vblade puts no directive to it). Empty when `error` is set. */
  readonly directives: readonly MaskDirective[];
}

/** Longest frame of this command, unpadded. */
export const MASK_FRAME_BYTES_MAX = MASK_DIRECTIVES + MASK_ENTRIES_MAX * MASK_DIRECTIVE_BYTES;

/** @returns the frame's length, unpadded. */
export function writeMaskRead(view: DataView, frameOffset: number): number {
  return writeMask(view, frameOffset, MASK_READ, 0, 0);
}

/** `directives` are at most MASK_ENTRIES_MAX. Put your own MAC first, or lock yourself out. @returns the frame's length, unpadded. */
export function writeMaskEdit(view: DataView, frameOffset: number, directives: readonly MaskDirective[]): number {
  let end = writeMask(view, frameOffset, MASK_EDIT, 0, directives.length);
  for (const { directive, mac } of directives) end = writeDirective(view, frameOffset, end, directive, mac);
  return end;
}

/** Answer that carries the whole list, without directives, as vblade's. @returns the frame's length, unpadded. */
export function writeMaskList(view: DataView, frameOffset: number, command: number, macs: readonly Mac[]): number {
  let end = writeMask(view, frameOffset, command, 0, macs.length);
  for (const mac of macs) end = writeDirective(view, frameOffset, end, MASK_DIRECTIVE_NONE, mac);
  return end;
}

/** Answer to an edit that failed at directive number `done` (counted from 0). @returns the frame's length, unpadded. */
export function writeMaskFailure(view: DataView, frameOffset: number, error: number, done: number): number {
  return writeMask(view, frameOffset, MASK_EDIT, error, done);
}

function writeMask(view: DataView, frameOffset: number, command: number, error: number, count: number): number {
  view.setUint8(frameOffset + ARGUMENT, 0);
  view.setUint8(frameOffset + MASK_COMMAND, command);
  view.setUint8(frameOffset + MASK_ERROR, error);
  view.setUint8(frameOffset + MASK_COUNT, count);
  return MASK_DIRECTIVES;
}

function writeDirective(view: DataView, frameOffset: number, at: number, directive: number, mac: Mac): number {
  view.setUint8(frameOffset + at, 0);
  view.setUint8(frameOffset + at + 1, directive);
  writeMac(view, frameOffset + at + 2, mac);
  return at + MASK_DIRECTIVE_BYTES;
}

/**
 * Reads a request or response of `length` bytes that `checkFrame` accepted. Bytes behind the last directive are padding.
 * @returns undefined when the frame is too short for the directives it claims.
 */
export function readMask(view: DataView, frameOffset: number, length: number): MaskMessage | undefined {
  if (length < MASK_DIRECTIVES) return undefined;
  const command = view.getUint8(frameOffset + MASK_COMMAND);
  const error = view.getUint8(frameOffset + MASK_ERROR);
  const count = view.getUint8(frameOffset + MASK_COUNT);
  if (error !== 0) return { command, error, count, directives: [] };
  if (MASK_DIRECTIVES + count * MASK_DIRECTIVE_BYTES > length) return undefined;
  const directives: MaskDirective[] = [];
  for (let index = 0; index < count; index++) {
    const at = frameOffset + MASK_DIRECTIVES + index * MASK_DIRECTIVE_BYTES;
    directives.push({ directive: view.getUint8(at + 1), mac: readMac(view, at + 2) });
  }
  return { command, error, count, directives };
}
