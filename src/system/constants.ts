/** Numbers of the Linux system call interface that this folder uses. The same on x64 and arm64; a test compiles them against the headers. */

export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SCM_RIGHTS = 1;
/** Most descriptors that one message carries (kernel: include/net/scm.h, not in the user headers). */
export const SCM_MAX_FD = 253;

export const SOL_PACKET = 263;
export const PACKET_STATISTICS = 6;
export const PACKET_IGNORE_OUTGOING = 23;
/** Packet types of a received frame, relative to the interface it came in by. */
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;

export const SHUT_RDWR = 2;

export const MSG_CTRUNC = 0x08;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;

export const EFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_PRIVATE = 0x02;
export const MAP_ANONYMOUS = 0x20;

export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const BLKGETSIZE64 = 0x80081272;
export const BLKDISCARD = 0x1277;

/** Classic BPF (linux/filter.h, linux/bpf_common.h). */
export const BPF_LD_WORD_ABSOLUTE = 0x20;
export const BPF_LD_HALF_ABSOLUTE = 0x28;
export const BPF_LD_BYTE_ABSOLUTE = 0x30;
export const BPF_LD_LENGTH = 0x80;
export const BPF_SHIFT_RIGHT = 0x74;
export const BPF_JUMP_EQUAL = 0x15;
export const BPF_JUMP_GREATER_OR_EQUAL = 0x35;
export const BPF_JUMP_BITS_SET = 0x45;
export const BPF_RETURN = 0x06;
/** Pseudo offsets of a load: facts about the frame that are not in the frame. */
export const SKF_AD_PACKET_TYPE = 0xfffff004;
export const SKF_AD_INTERFACE_INDEX = 0xfffff008;

export const NETLINK_ROUTE = 0;
export const NETLINK_GENERIC = 16;
export const SOL_NETLINK = 270;
export const NETLINK_ADD_MEMBERSHIP = 1;
/** Errors come with the kernel's own words. */
export const NETLINK_EXT_ACK = 11;
export const RTMGRP_LINK = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x001;
export const NLM_F_ACK = 0x004;
/** Of an error: the request is not repeated in it beyond its header; attributes follow. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_DUMP = 0x300;
/** The table changed while it was dumped. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLMSGERR_ATTR_MSG = 1;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;

export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;
export const IFNAMSIZ = 16;
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
export const IFLA_EXT_MASK = 29;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_SLAVE_KIND = 4;
export const RTEXT_FILTER_SKIP_STATS = 8;
/** Set in an attribute's type when it holds attributes, and when it is in network byte order. */
export const NLA_TYPE_MASK = 0x3fff;

/** Generic netlink (linux/genetlink.h): families are found by name through the controller, which is a family itself. */
export const GENL_ID_CTRL = 0x10;
export const CTRL_CMD_GETFAMILY = 3;
export const CTRL_ATTR_FAMILY_ID = 1;
export const CTRL_ATTR_FAMILY_NAME = 2;
export const CTRL_ATTR_MAXATTR = 5;
export const CTRL_ATTR_MCAST_GROUPS = 7;
export const CTRL_ATTR_MCAST_GRP_NAME = 1;
export const CTRL_ATTR_MCAST_GRP_ID = 2;

export const F_DUPFD_CLOEXEC = 1030;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;

/** From linux/prctl.h, Linux 5.6. */
export const PR_SET_IO_FLUSHER = 57;
export const PR_GET_IO_FLUSHER = 58;

export const MLOCK_ONFAULT = 1;

export const WNOHANG = 1;

export const POLLOUT = 4;
