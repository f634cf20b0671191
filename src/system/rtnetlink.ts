import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  IFF_LOOPBACK,
  IFF_RUNNING,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_EXT_MASK,
  IFLA_IFNAME,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './constants.ts';
import {
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  encodeNumber32,
  numberOf,
  textOf,
  type NetlinkMessage,
} from './netlink-codec.ts';
import { IFINFOMSG_BYTES, IFINFOMSG_FAMILY, IFINFOMSG_FLAGS, IFINFOMSG_INDEX, IFINFOMSG_TYPE } from './structs.ts';

/**
 * Codec of rtnetlink's link messages (rtnetlink(7)); pure.
 *
 * ```
 * | nlmsghdr (16) | ifinfomsg (16) | attribute | attribute …
 * ```
 */

/** A network interface, as the kernel describes it. */
export interface InterfaceInfo {
  /** Identifies it until it is deleted; a name may come back with another index. */
  readonly index: number;
  readonly name: string;
  /** Six bytes; zeroes where the interface has no Ethernet address. */
  readonly mac: Uint8Array;
  /** As people write it, `02:00:5e:10:00:01`. */
  readonly macText: string;
  readonly mtu: number;
  /** Switched on by the administrator. */
  readonly up: boolean;
  /** Up, with a carrier. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** Carries Ethernet frames (the loopback interface does so too). */
  readonly ethernet: boolean;
  /** The driver's word for virtual ones: veth, vlan, bridge, bond, macvlan …; empty for hardware. */
  readonly kind: string;
  /** Index of the bridge, bond … that this interface is a port of, or 0. A port's frames go to its master: use that one. */
  readonly masterIndex: number;
  /** What the master is: bridge, bond, team, vrf …; empty without one. */
  readonly masterKind: string;
}

/** One netlink message. */
export type LinkMessage =
  | { readonly type: 'link'; readonly link: InterfaceInfo; readonly interrupted: boolean }
  | { readonly type: 'deleted'; readonly index: number; readonly name: string }
  | { readonly type: 'done'; readonly interrupted: boolean }
  | { readonly type: 'error'; readonly errno: number };

const MAC_BYTES = 6;

/** A request for all interfaces, without their traffic counters. */
export function encodeLinkDump(sequence: number): Buffer {
  const body = Buffer.concat([Buffer.alloc(IFINFOMSG_BYTES), encodeNumber32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]);
  return encodeMessage({ type: RTM_GETLINK, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence, body });
}

/**
 * The link messages of one datagram. What is of another kind, of another address family (a bridge tells of its ports in
 * messages that look like a deletion of the port) or malformed is left out; the rest after a malformed length too.
 */
export function decodeLinkMessages(bytes: Buffer): LinkMessage[] {
  return decodeMessages(bytes).flatMap((message) => decodeMessage(message) ?? []);
}

function decodeMessage({ type, flags, body }: NetlinkMessage): LinkMessage | undefined {
  const interrupted = (flags & NLM_F_DUMP_INTR) !== 0;
  switch (type) {
    case NLMSG_DONE:
      return { type: 'done', interrupted };
    case NLMSG_ERROR:
      // The kernel sends the errno negative; 0 acknowledges, which nobody asked for.
      return body.length < 4 || body.readInt32LE(0) === 0 ? undefined : { type: 'error', errno: -body.readInt32LE(0) };
    case RTM_NEWLINK: {
      const link = decodeLink(body);
      return link && { type: 'link', link, interrupted };
    }
    case RTM_DELLINK: {
      const link = decodeLink(body);
      return link && { type: 'deleted', index: link.index, name: link.name };
    }
    default:
      return undefined;
  }
}

/** struct ifinfomsg and its attributes, or undefined when it is too short, of a bridge's own kind, or nameless. */
function decodeLink(body: Buffer): InterfaceInfo | undefined {
  if (body.length < IFINFOMSG_BYTES || body.readUInt8(IFINFOMSG_FAMILY) !== 0) return undefined;
  const flags = body.readUInt32LE(IFINFOMSG_FLAGS);
  const hardware = body.readUInt16LE(IFINFOMSG_TYPE);
  const attributes = decodeAttributes(body.subarray(IFINFOMSG_BYTES));
  const description = decodeAttributes(attributes.get(IFLA_LINKINFO));
  const name = textOf(attributes.get(IFLA_IFNAME));
  if (name === '') return undefined;
  const mac = macOf(attributes.get(IFLA_ADDRESS));
  return {
    index: body.readInt32LE(IFINFOMSG_INDEX),
    name,
    mac,
    macText: Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':'),
    mtu: numberOf(attributes.get(IFLA_MTU)),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    ethernet: hardware === ARPHRD_ETHER || hardware === ARPHRD_LOOPBACK,
    kind: textOf(description.get(IFLA_INFO_KIND)),
    masterIndex: numberOf(attributes.get(IFLA_MASTER)),
    masterKind: textOf(description.get(IFLA_INFO_SLAVE_KIND)),
  };
}

function macOf(value: Buffer | undefined): Uint8Array {
  return value?.length === MAC_BYTES ? Uint8Array.from(value) : new Uint8Array(MAC_BYTES);
}
