/**
 * Numbers of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md). Wire facts only; see names.ts for their names and limits.ts
 * for what we choose. Magic numbers of 64 bits are two u32, high half first.
 */

/** "NBDMAGIC": the server's first eight bytes ("Newstyle negotiation"). */
export const NBD_MAGIC_HIGH = 0x4e42444d;
export const NBD_MAGIC_LOW = 0x41474943;
/** "IHAVEOPT": the server's next eight bytes, and the start of each option of the client. */
export const OPTION_MAGIC_HIGH = 0x49484156;
export const OPTION_MAGIC_LOW = 0x454f5054;
/** Start of each answer to an option. */
export const OPTION_REPLY_MAGIC_HIGH = 0x0003e889;
export const OPTION_REPLY_MAGIC_LOW = 0x045565a9;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;

/** Handshake flags, server ("Flag fields"). */
export const HANDSHAKE_FIXED_NEWSTYLE = 1 << 0;
export const HANDSHAKE_NO_ZEROES = 1 << 1;
/** Handshake flags, client. */
export const CLIENT_FIXED_NEWSTYLE = 1 << 0;
export const CLIENT_NO_ZEROES = 1 << 1;

/** Transmission flags: what the export can do. */
export const EXPORT_HAS_FLAGS = 1 << 0;
export const EXPORT_READ_ONLY = 1 << 1;
export const EXPORT_SEND_FLUSH = 1 << 2;
export const EXPORT_SEND_FUA = 1 << 3;
export const EXPORT_SEND_TRIM = 1 << 5;
export const EXPORT_SEND_WRITE_ZEROES = 1 << 6;
export const EXPORT_CAN_MULTI_CONN = 1 << 8;

/** Options ("Option types"). 4 was withdrawn. */
export const OPTION_EXPORT_NAME = 1;
export const OPTION_ABORT = 2;
export const OPTION_LIST = 3;
export const OPTION_STARTTLS = 5;
export const OPTION_INFO = 6;
export const OPTION_GO = 7;
export const OPTION_STRUCTURED_REPLY = 8;
export const OPTION_LIST_META_CONTEXT = 9;
export const OPTION_SET_META_CONTEXT = 10;
export const OPTION_EXTENDED_HEADERS = 11;

/** Answers to options ("Option reply types"); bit 31 marks an error. */
export const REPLY_ACK = 1;
export const REPLY_SERVER = 2;
export const REPLY_INFO = 3;
export const REPLY_ERROR_UNSUPPORTED = 0x80000001;
export const REPLY_ERROR_INVALID = 0x80000003;
export const REPLY_ERROR_UNKNOWN = 0x80000006;
export const REPLY_ERROR_SHUTDOWN = 0x80000007;
export const REPLY_ERROR_TOO_BIG = 0x80000009;

/** Kinds of information in a REPLY_INFO. */
export const INFO_EXPORT = 0;
export const INFO_NAME = 1;
export const INFO_DESCRIPTION = 2;
export const INFO_BLOCK_SIZE = 3;

/** Requests ("Request types"). */
export const COMMAND_READ = 0;
export const COMMAND_WRITE = 1;
export const COMMAND_DISCONNECT = 2;
export const COMMAND_FLUSH = 3;
export const COMMAND_TRIM = 4;
export const COMMAND_CACHE = 5;
export const COMMAND_WRITE_ZEROES = 6;
export const COMMAND_BLOCK_STATUS = 7;

/** Command flags. FUA is accepted on every command, because clients are known to set it anywhere. */
export const FLAG_FUA = 1 << 0;
export const FLAG_NO_HOLE = 1 << 1;

/** Error values ("Error values"): the numbers of Linux errno. */
export const NBD_OK = 0;
export const NBD_EPERM = 1;
export const NBD_EIO = 5;
export const NBD_ENOMEM = 12;
export const NBD_EINVAL = 22;
export const NBD_ENOSPC = 28;
export const NBD_EOVERFLOW = 75;
export const NBD_ENOTSUP = 95;
export const NBD_ESHUTDOWN = 108;

/** Zeroes behind the answer to EXPORT_NAME unless both sides agreed on NO_ZEROES. */
export const EXPORT_NAME_ZEROES = 124;
/** Longest string that the protocol allows ("Values"). */
export const STRING_BYTES_MAX = 4096;
