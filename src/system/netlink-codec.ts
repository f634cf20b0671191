import { NLA_TYPE_MASK } from './constants.ts';
import {
  NLATTR_BYTES,
  NLATTR_LEN,
  NLATTR_TYPE,
  NLMSGHDR_BYTES,
  NLMSGHDR_FLAGS,
  NLMSGHDR_LEN,
  NLMSGHDR_SEQ,
  NLMSGHDR_TYPE,
} from './structs.ts';

/**
 * What all netlink families share (netlink(7)): messages, and attributes in them. Pure. Everything is in the machine's own,
 * little-endian order.
 *
 * ```
 * | nlmsghdr: len (4) type (2) flags (2) seq (4) pid (4) | body, padding to 4 | nlmsghdr …
 * | nlattr: len (2) type (2) | data, padding to 4 | nlattr …
 * ```
 */

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** That of the request it answers; 0 of events. */
  readonly sequence: number;
  readonly body: Buffer;
}

const NETLINK_ALIGNMENT = 4;

export function encodeMessage({ type, flags, sequence, body }: NetlinkMessage): Buffer {
  const message = Buffer.alloc(NLMSGHDR_BYTES + body.length);
  message.writeUInt32LE(message.length, NLMSGHDR_LEN);
  message.writeUInt16LE(type, NLMSGHDR_TYPE);
  message.writeUInt16LE(flags, NLMSGHDR_FLAGS);
  message.writeUInt32LE(sequence, NLMSGHDR_SEQ);
  body.copy(message, NLMSGHDR_BYTES);
  return message;
}

/** The messages of one datagram. Ends at the first malformed length. */
export function decodeMessages(bytes: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + NLMSGHDR_BYTES <= bytes.length) {
    const lengthBytes = bytes.readUInt32LE(at + NLMSGHDR_LEN);
    if (lengthBytes < NLMSGHDR_BYTES || at + lengthBytes > bytes.length) break;
    messages.push({
      type: bytes.readUInt16LE(at + NLMSGHDR_TYPE),
      flags: bytes.readUInt16LE(at + NLMSGHDR_FLAGS),
      sequence: bytes.readUInt32LE(at + NLMSGHDR_SEQ),
      body: bytes.subarray(at + NLMSGHDR_BYTES, at + lengthBytes),
    });
    at += aligned(lengthBytes);
  }
  return messages;
}

/** An attribute with its padding, which the length in it does not count. */
export function encodeAttribute(type: number, data: Buffer): Buffer {
  const attribute = Buffer.alloc(aligned(NLATTR_BYTES + data.length));
  attribute.writeUInt16LE(NLATTR_BYTES + data.length, NLATTR_LEN);
  attribute.writeUInt16LE(type, NLATTR_TYPE);
  data.copy(attribute, NLATTR_BYTES);
  return attribute;
}

export function encodeNumber32(type: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value);
  return encodeAttribute(type, data);
}

export function encodeNumber64(type: number, value: bigint): Buffer {
  const data = Buffer.alloc(8);
  data.writeBigUInt64LE(value);
  return encodeAttribute(type, data);
}

/** With the zero byte that ends it. */
export function encodeText(type: number, text: string): Buffer {
  return encodeAttribute(type, Buffer.from(`${text}\0`));
}

/** Attributes by type; of two with one type the last, as the kernel's own parser has it. Ends at the first malformed one. */
export function decodeAttributes(bytes: Buffer | undefined): ReadonlyMap<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  let at = 0;
  while (bytes !== undefined && at + NLATTR_BYTES <= bytes.length) {
    const lengthBytes = bytes.readUInt16LE(at + NLATTR_LEN);
    if (lengthBytes < NLATTR_BYTES || at + lengthBytes > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + NLATTR_TYPE) & NLA_TYPE_MASK, bytes.subarray(at + NLATTR_BYTES, at + lengthBytes));
    at += aligned(lengthBytes);
  }
  return attributes;
}

/** 0 when the attribute is missing or too short, as for all that the kernel may leave out. */
export function numberOf(value: Buffer | undefined): number {
  return value === undefined || value.length < 4 ? 0 : value.readUInt32LE(0);
}

/** Text up to its zero byte. */
export function textOf(value: Buffer | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

export function aligned(lengthBytes: number): number {
  return Math.ceil(lengthBytes / NETLINK_ALIGNMENT) * NETLINK_ALIGNMENT;
}
