import type { GenericMessage, GenericRequest } from './generic-netlink-codec.ts';
import * as nbd from './nbd-netlink-constants.ts';
import { encodeAttribute, encodeNumber32, encodeNumber64, encodeText } from './netlink-codec.ts';

/**
 * Codec of the kernel NBD driver's netlink family (linux/nbd-netlink.h, drivers/block/nbd.c); pure.
 *
 * The index of a new device, which the kernel chooses unless it is told one, comes in a CONNECT of its own before the acknowledgement.
 */

export const NBD_FAMILY = 'nbd';
/** Who joins it hears NBD_CMD_LINK_DEAD. */
export const NBD_GROUP = 'nbd_mc_group';

/** A device to be made. */
export interface NbdConnect {
  /** Undefined: the kernel chooses a free one. Never take one from a list of free ones: it may be another's by then. */
  readonly index?: number | undefined;
  readonly sizeBytes: bigint;
  /** Logical and physical block size. The driver's own default is 1,024, so it is always said. */
  readonly blockBytes: number;
  /** What the server can do, as in the protocol's transmission flags. Fixed for the device's life. */
  readonly serverFlags: number;
  /**
   * Seconds after which a request counts as lost; 0 = never. Always said: left out, the device keeps what its last user had.
   */
  readonly timeoutSeconds: number;
  /** How long requests wait for a new socket when the old one is dead, before they fail. */
  readonly deadConnectionSeconds: number;
  /** Shown in sysfs, and asked for by everything that changes the device. */
  readonly identifier: string;
  /** Descriptor of this process: a connected stream socket whose other end is being read. */
  readonly socket: number;
}

/** A change of a device; what is undefined stays as it is. */
export interface NbdReconfigure {
  readonly index: number;
  readonly identifier: string;
  readonly socket?: number;
  /** Never together with a socket: from Linux 6.9 on the two wait for each other for ever. */
  readonly sizeBytes?: bigint;
  readonly timeoutSeconds?: number;
  readonly deadConnectionSeconds?: number;
}

export function connectRequest(family: number, device: NbdConnect): GenericRequest {
  return request(family, nbd.NBD_CMD_CONNECT, [
    ...(device.index === undefined ? [] : [encodeNumber32(nbd.NBD_ATTR_INDEX, device.index)]),
    encodeNumber64(nbd.NBD_ATTR_SIZE_BYTES, device.sizeBytes),
    encodeNumber64(nbd.NBD_ATTR_BLOCK_SIZE_BYTES, BigInt(device.blockBytes)),
    encodeNumber64(nbd.NBD_ATTR_TIMEOUT, BigInt(device.timeoutSeconds)),
    encodeNumber64(nbd.NBD_ATTR_SERVER_FLAGS, BigInt(device.serverFlags)),
    encodeNumber64(nbd.NBD_ATTR_DEAD_CONN_TIMEOUT, BigInt(device.deadConnectionSeconds)),
    encodeText(nbd.NBD_ATTR_BACKEND_IDENTIFIER, device.identifier),
    encodeSocket(device.socket),
  ]);
}

export function reconfigureRequest(family: number, change: NbdReconfigure): GenericRequest {
  const { sizeBytes, timeoutSeconds, deadConnectionSeconds, socket } = change;
  return request(family, nbd.NBD_CMD_RECONFIGURE, [
    encodeNumber32(nbd.NBD_ATTR_INDEX, change.index),
    ...(sizeBytes === undefined ? [] : [encodeNumber64(nbd.NBD_ATTR_SIZE_BYTES, sizeBytes)]),
    ...(timeoutSeconds === undefined ? [] : [encodeNumber64(nbd.NBD_ATTR_TIMEOUT, BigInt(timeoutSeconds))]),
    ...(deadConnectionSeconds === undefined
      ? []
      : [encodeNumber64(nbd.NBD_ATTR_DEAD_CONN_TIMEOUT, BigInt(deadConnectionSeconds))]),
    encodeText(nbd.NBD_ATTR_BACKEND_IDENTIFIER, change.identifier),
    ...(socket === undefined ? [] : [encodeSocket(socket)]),
  ]);
}

export function disconnectRequest(family: number, index: number): GenericRequest {
  return request(family, nbd.NBD_CMD_DISCONNECT, [encodeNumber32(nbd.NBD_ATTR_INDEX, index)]);
}

/** The device that a message of the family is about: what CONNECT allocated, or whose socket is dead. Undefined when it names none. */
export function decodeIndex(message: GenericMessage, family: number, command: number): number | undefined {
  if (message.type !== 'message' || message.family !== family || message.command !== command) return undefined;
  const index = message.attributes.get(nbd.NBD_ATTR_INDEX);
  return index === undefined || index.length < 4 ? undefined : index.readUInt32LE(0);
}

function request(family: number, command: number, attributes: readonly Buffer[]): GenericRequest {
  return { family, command, version: nbd.NBD_GENL_VERSION, attributes };
}

function encodeSocket(fd: number): Buffer {
  return encodeAttribute(nbd.NBD_ATTR_SOCKETS, encodeAttribute(nbd.NBD_SOCK_ITEM, encodeNumber32(nbd.NBD_SOCK_FD, fd)));
}
