/**
 * Sizes and field offsets of the C structures handed to the kernel, in bytes. All are those of 64-bit little-endian Linux;
 * only `epoll_event` differs between x64 and arm64. A test compiles every number against the system's headers, for both.
 */

/** struct iovec */
export const IOVEC_BYTES = 16;
export const IOVEC_BASE = 0;
export const IOVEC_LEN = 8;

/** struct msghdr */
export const MSGHDR_BYTES = 56;
export const MSGHDR_NAME = 0;
export const MSGHDR_NAMELEN = 8;
export const MSGHDR_IOV = 16;
export const MSGHDR_IOVLEN = 24;
export const MSGHDR_CONTROL = 32;
export const MSGHDR_CONTROLLEN = 40;
export const MSGHDR_FLAGS = 48;

/** struct mmsghdr: a msghdr and the length it had or got */
export const MMSGHDR_BYTES = 64;
export const MMSGHDR_LEN = 56;

/** struct cmsghdr; its data follows, padded to 8 bytes */
export const CMSGHDR_BYTES = 16;
export const CMSGHDR_LEN = 0;
export const CMSGHDR_LEVEL = 8;
export const CMSGHDR_TYPE = 12;

/** struct sockaddr_ll; protocol is in network byte order */
export const SOCKADDR_LL_BYTES = 20;
export const SOCKADDR_LL_FAMILY = 0;
export const SOCKADDR_LL_PROTOCOL = 2;
export const SOCKADDR_LL_IFINDEX = 4;

/** struct sockaddr_un */
export const SOCKADDR_UN_BYTES = 110;
export const SOCKADDR_UN_FAMILY = 0;
export const SOCKADDR_UN_PATH = 2;
export const SOCKADDR_UN_PATH_BYTES = 108;

/** struct sockaddr_nl */
export const SOCKADDR_NL_BYTES = 12;
export const SOCKADDR_NL_FAMILY = 0;
export const SOCKADDR_NL_PID = 4;
export const SOCKADDR_NL_GROUPS = 8;

/** struct sock_fprog and its struct sock_filter */
export const SOCK_FPROG_BYTES = 16;
export const SOCK_FPROG_LEN = 0;
export const SOCK_FPROG_FILTER = 8;
export const SOCK_FILTER_BYTES = 8;
export const SOCK_FILTER_CODE = 0;
export const SOCK_FILTER_JT = 2;
export const SOCK_FILTER_JF = 3;
export const SOCK_FILTER_K = 4;

/** struct tpacket_stats */
export const TPACKET_STATS_BYTES = 8;
export const TPACKET_STATS_PACKETS = 0;
export const TPACKET_STATS_DROPS = 4;

/** struct nlmsghdr */
export const NLMSGHDR_BYTES = 16;
export const NLMSGHDR_LEN = 0;
export const NLMSGHDR_TYPE = 4;
export const NLMSGHDR_FLAGS = 6;
export const NLMSGHDR_SEQ = 8;
export const NLMSGHDR_PID = 12;

/** struct nlmsgerr: what went wrong, and the header of the request that it is about */
export const NLMSGERR_BYTES = 20;
export const NLMSGERR_ERROR = 0;
export const NLMSGERR_MSG = 4;

/** struct genlmsghdr, behind a nlmsghdr */
export const GENLMSGHDR_BYTES = 4;
export const GENLMSGHDR_CMD = 0;
export const GENLMSGHDR_VERSION = 1;

/** struct ifinfomsg */
export const IFINFOMSG_BYTES = 16;
export const IFINFOMSG_FAMILY = 0;
export const IFINFOMSG_TYPE = 2;
export const IFINFOMSG_INDEX = 4;
export const IFINFOMSG_FLAGS = 8;

/** struct nlattr, also called rtattr; its data follows, padded to 4 bytes */
export const NLATTR_BYTES = 4;
export const NLATTR_LEN = 0;
export const NLATTR_TYPE = 2;

export interface EpollEventLayout {
  readonly bytes: number;
  readonly events: number;
  readonly data: number;
}

/** struct epoll_event: x64 alone packs it, for the sake of 32-bit programs. */
export const EPOLL_EVENT_LAYOUTS: Readonly<Record<'x64' | 'arm64', EpollEventLayout>> = {
  x64: { bytes: 12, events: 0, data: 4 },
  arm64: { bytes: 16, events: 0, data: 8 },
};

/**
 * Stores a 64-bit address, or a length, as two words of a structure: the data path has no BigInt.
 * `value` is exact below 2^53; user addresses stay below 2^47 (2^48 on arm64).
 */
export function storeWord64(words: Int32Array, index: number, value: number): void {
  words[index] = value | 0;
  words[index + 1] = (value / 0x1_0000_0000) | 0;
}

/** struct pollfd */
export const POLLFD_BYTES = 8;
export const POLLFD_FD = 0;
export const POLLFD_EVENTS = 4;
export const POLLFD_REVENTS = 6;
