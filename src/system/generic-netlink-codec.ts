import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_CMD_GETFAMILY,
  GENL_ID_CTRL,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
} from './constants.ts';
import {
  aligned,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  encodeText,
  numberOf,
  textOf,
  type NetlinkMessage,
} from './netlink-codec.ts';
import {
  GENLMSGHDR_BYTES,
  GENLMSGHDR_CMD,
  GENLMSGHDR_VERSION,
  NLMSGERR_BYTES,
  NLMSGERR_ERROR,
  NLMSGERR_MSG,
  NLMSGHDR_LEN,
} from './structs.ts';

/**
 * Codec of generic netlink (Documentation/userspace-api/netlink/intro.rst); pure.
 *
 * ```
 * | nlmsghdr (16) | genlmsghdr: cmd (1) version (1) reserved (2) | attribute | attribute …
 * | nlmsghdr (16) | nlmsgerr: error (4), header of the request (16) | rest of the request, unless capped | attributes, if any
 * ```
 */

/** A command to a family. */
export interface GenericRequest {
  readonly family: number;
  readonly command: number;
  readonly version: number;
  readonly attributes: readonly Buffer[];
}

/** What the kernel sends. */
export type GenericMessage =
  /** `errno` 0: it was done. `text` is the kernel's own word on an error, where it has one. */
  | { readonly type: 'ack'; readonly sequence: number; readonly errno: number; readonly text: string }
  | {
      readonly type: 'message';
      readonly sequence: number;
      readonly family: number;
      readonly command: number;
      readonly attributes: ReadonlyMap<number, Buffer>;
    };

/** A family as the controller describes it. */
export interface Family {
  /** Given anew with each load of its module. */
  readonly id: number;
  /** The highest attribute that it knows. */
  readonly attributesMax: number;
  /** Multicast groups: their numbers by name. */
  readonly groups: ReadonlyMap<string, number>;
}

/** A request that is to be acknowledged. */
export function encodeGenericRequest(request: GenericRequest, sequence: number): Buffer {
  const header = Buffer.alloc(GENLMSGHDR_BYTES);
  header.writeUInt8(request.command, GENLMSGHDR_CMD);
  header.writeUInt8(request.version, GENLMSGHDR_VERSION);
  const body = Buffer.concat([header, ...request.attributes]);
  return encodeMessage({ type: request.family, flags: NLM_F_REQUEST | NLM_F_ACK, sequence, body });
}

/** Asks the controller for a family. */
export function familyRequest(name: string): GenericRequest {
  const attributes = [encodeText(CTRL_ATTR_FAMILY_NAME, name)];
  return { family: GENL_ID_CTRL, command: CTRL_CMD_GETFAMILY, version: 1, attributes };
}

/** The messages of one datagram; what is too short to be one is left out. */
export function decodeGenericMessages(bytes: Buffer): GenericMessage[] {
  return decodeMessages(bytes).flatMap((message) => decodeMessage(message) ?? []);
}

/** The controller's answer; undefined when it names no family. */
export function decodeFamily(attributes: ReadonlyMap<number, Buffer>): Family | undefined {
  const id = attributes.get(CTRL_ATTR_FAMILY_ID);
  if (id === undefined || id.length < 2) return undefined;
  const groups = new Map<string, number>();
  for (const item of decodeAttributes(attributes.get(CTRL_ATTR_MCAST_GROUPS)).values()) {
    const group = decodeAttributes(item);
    groups.set(textOf(group.get(CTRL_ATTR_MCAST_GRP_NAME)), numberOf(group.get(CTRL_ATTR_MCAST_GRP_ID)));
  }
  return { id: id.readUInt16LE(0), attributesMax: numberOf(attributes.get(CTRL_ATTR_MAXATTR)), groups };
}

function decodeMessage(message: NetlinkMessage): GenericMessage | undefined {
  const { type, sequence, body } = message;
  if (type === NLMSG_ERROR) return decodeAck(message);
  if (body.length < GENLMSGHDR_BYTES) return undefined;
  const attributes = decodeAttributes(body.subarray(GENLMSGHDR_BYTES));
  return { type: 'message', sequence, family: type, command: body.readUInt8(GENLMSGHDR_CMD), attributes };
}

function decodeAck({ flags, sequence, body }: NetlinkMessage): GenericMessage | undefined {
  if (body.length < NLMSGERR_BYTES) return undefined;
  const requestBytes = body.readUInt32LE(NLMSGERR_MSG + NLMSGHDR_LEN);
  const end = (flags & NLM_F_CAPPED) !== 0 ? NLMSGERR_BYTES : NLMSGERR_MSG + aligned(requestBytes);
  const attributes = (flags & NLM_F_ACK_TLVS) === 0 ? undefined : decodeAttributes(body.subarray(end));
  const text = textOf(attributes?.get(NLMSGERR_ATTR_MSG));
  return { type: 'ack', sequence, errno: Math.abs(body.readInt32LE(NLMSGERR_ERROR)), text };
}
