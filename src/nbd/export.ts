import type { BlockDevice } from '../block/device.ts';
import * as nbd from './constants.ts';

/** Where a server finds what clients ask for by name. */
export interface ExportDirectory {
  /** The device of exactly this name, e.g. `e10.3`. */
  find(name: string): BlockDevice | undefined;
  /** Every name that `find` knows now, in the order they are listed. */
  names(): readonly string[];
}

/** The device that a client means by `name`. The empty name, the protocol's default export, means the only one there is. */
export function findExport(directory: ExportDirectory, name: string): BlockDevice | undefined {
  if (name !== '') return directory.find(name);
  const names = directory.names();
  return names.length === 1 ? directory.find(names[0]) : undefined;
}

/** True when writes to the export are refused, for the device's sake or for the session's. */
export function isReadOnly(device: BlockDevice, readOnlySession: boolean): boolean {
  return readOnlySession || device.readOnly;
}

/**
 * What a client may use (doc/proto.md "Transmission flags"); also the SERVER_FLAGS of a kernel attachment.
 * CAN_MULTI_CONN holds because all connections to a device end in the same target, whose flush covers what any of them wrote.
 */
export function transmissionFlags(device: BlockDevice, readOnlySession = false): number {
  const always = nbd.EXPORT_HAS_FLAGS | nbd.EXPORT_SEND_FLUSH | nbd.EXPORT_SEND_FUA | nbd.EXPORT_CAN_MULTI_CONN;
  if (isReadOnly(device, readOnlySession)) return always | nbd.EXPORT_READ_ONLY;
  return always | nbd.EXPORT_SEND_WRITE_ZEROES | (device.canTrim ? nbd.EXPORT_SEND_TRIM : 0);
}
