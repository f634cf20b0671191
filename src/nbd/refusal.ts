import type { BlockDevice } from '../block/device.ts';
import * as nbd from './constants.ts';
import type { RefusalReason } from './counters.ts';
import { isReadOnly } from './export.ts';
import { BLOCK_BYTES_MIN } from './limits.ts';
import type { RequestHeader } from './transmission-codec.ts';

/**
 * Looks at a request once; whatever passes lies inside the device and is of a kind that it takes, so that nothing behind here has to ask again.
 * Errors are those that doc/proto.md names ("Request types").
 */

export interface Refusal {
  readonly reason: RefusalReason;
  readonly error: number;
}

/** Sectors per unit of an offset's high half: 4 GiB of 512 bytes. */
const SECTORS_PER_HIGH_UNIT = 2 ** 23;
const SECTOR_SHIFT = 9;
const MISALIGNMENT_MASK = BLOCK_BYTES_MIN - 1;

const UNKNOWN_COMMAND: Refusal = { reason: 'unknownCommand', error: nbd.NBD_EINVAL };
const UNKNOWN_FLAG: Refusal = { reason: 'unknownFlag', error: nbd.NBD_EINVAL };
const NOT_OFFERED: Refusal = { reason: 'notOffered', error: nbd.NBD_EINVAL };
const READ_ONLY: Refusal = { reason: 'readOnly', error: nbd.NBD_EPERM };
const MISALIGNED: Refusal = { reason: 'misaligned', error: nbd.NBD_EINVAL };
const EMPTY: Refusal = { reason: 'empty', error: nbd.NBD_EINVAL };
const READ_BEYOND_END: Refusal = { reason: 'beyondEnd', error: nbd.NBD_EINVAL };
const WRITE_BEYOND_END: Refusal = { reason: 'beyondEnd', error: nbd.NBD_ENOSPC };
const TOO_LONG: Refusal = { reason: 'tooLong', error: nbd.NBD_EINVAL };
const FLUSH_OF_RANGE: Refusal = { reason: 'flushOfRange', error: nbd.NBD_EINVAL };
/** The volume is being detached. */
export const SHUTTING_DOWN: Refusal = { reason: 'shutdown', error: nbd.NBD_ESHUTDOWN };

/** First sector of a request whose offset is aligned. Offsets beyond 2^53 sectors lose low bits, and are beyond every device. */
export function lbaOf(header: RequestHeader): number {
  return header.offsetHigh * SECTORS_PER_HIGH_UNIT + (header.offsetLow >>> SECTOR_SHIFT);
}

export function sectorsOf(header: RequestHeader): number {
  return header.lengthBytes >>> SECTOR_SHIFT;
}

/** Why `device` can't take this request, or undefined when it can. Not for COMMAND_DISCONNECT. */
export function refusalOf(
  header: RequestHeader,
  device: BlockDevice,
  readOnlySession: boolean,
  payloadBytesMax: number,
): Refusal | undefined {
  const readOnly = isReadOnly(device, readOnlySession);
  switch (header.command) {
    case nbd.COMMAND_READ:
      if (hasOtherFlags(header, nbd.FLAG_FUA)) return UNKNOWN_FLAG;
      return header.lengthBytes > payloadBytesMax ? TOO_LONG : rangeRefusal(header, device, READ_BEYOND_END);
    case nbd.COMMAND_WRITE:
      if (hasOtherFlags(header, nbd.FLAG_FUA)) return UNKNOWN_FLAG;
      if (readOnly) return READ_ONLY;
      return header.lengthBytes > payloadBytesMax ? TOO_LONG : rangeRefusal(header, device, WRITE_BEYOND_END);
    case nbd.COMMAND_FLUSH:
      if (hasOtherFlags(header, nbd.FLAG_FUA)) return UNKNOWN_FLAG;
      return (header.offsetHigh | header.offsetLow | header.lengthBytes) === 0 ? undefined : FLUSH_OF_RANGE;
    case nbd.COMMAND_TRIM:
      if (hasOtherFlags(header, nbd.FLAG_FUA)) return UNKNOWN_FLAG;
      if (readOnly) return READ_ONLY;
      return device.canTrim ? rangeRefusal(header, device, READ_BEYOND_END) : NOT_OFFERED;
    case nbd.COMMAND_WRITE_ZEROES:
      if (hasOtherFlags(header, nbd.FLAG_FUA | nbd.FLAG_NO_HOLE)) return UNKNOWN_FLAG;
      return readOnly ? READ_ONLY : rangeRefusal(header, device, WRITE_BEYOND_END);
    default:
      return UNKNOWN_COMMAND;
  }
}

function hasOtherFlags(header: RequestHeader, known: number): boolean {
  return (header.flags & ~known) !== 0;
}

function rangeRefusal(header: RequestHeader, device: BlockDevice, beyondEnd: Refusal): Refusal | undefined {
  if (header.lengthBytes === 0) return EMPTY;
  if (((header.offsetLow | header.lengthBytes) & MISALIGNMENT_MASK) !== 0) return MISALIGNED;
  return lbaOf(header) > device.sectors - sectorsOf(header) ? beyondEnd : undefined;
}
