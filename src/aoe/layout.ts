/**
 * Byte offsets in an AoE frame, from the first byte of the Ethernet header. All fields big endian except the LBA (least
 * significant byte first) and the words of the IDENTIFY block (little endian). AoEr11 §2 and §3.
 *
 * ```
 *  0            6            12     14   15   16     18   19   20
 * | dst MAC    | src MAC    | 88A2 | VF | Er | shelf| sl | cmd| tag (4)          |   common header, 24 bytes
 *  24   25   26   27   28                            34     36
 * | AF | EF | SC | CS | lba0 lba1 lba2 lba3 lba4 lba5 | 0 0 | data …              |   command 0, ATA
 *  24     26     28   29   30     32
 * | bufs | firm | SC | VC | len  | config string …                                |   command 1, query config
 *  24   25   26   27   28
 * | 0  | MC | ME | DC | (0, DCmd, MAC) × DC …                                     |   command 2, MAC mask
 *  24   25   26
 * | RC | NM | MAC × NM …                                                          |   command 3, reserve/release
 * ```
 */

export const DST_MAC = 0;
export const SRC_MAC = 6;
export const ETHERTYPE = 12;
export const VERSION_FLAGS = 14;
export const ERROR = 15;
export const SHELF = 16;
export const SLOT = 18;
export const COMMAND = 19;
export const TAG = 20;
/** Length of the common header, and where a command's own argument begins. */
export const ARGUMENT = 24;

export const ATA_FLAGS = 24;
export const ATA_FEATURE = 25;
export const ATA_COUNT = 26;
export const ATA_COMMAND = 27;
export const ATA_LBA = 28;
export const ATA_RESERVED = 34;
/** Length of the headers of an ATA frame, and where its data begins. */
export const ATA_DATA = 36;

export const CONFIG_BUFFER_COUNT = 24;
export const CONFIG_FIRMWARE = 26;
export const CONFIG_SECTOR_COUNT = 28;
export const CONFIG_VERSION_COMMAND = 29;
export const CONFIG_STRING_LENGTH = 30;
export const CONFIG_STRING = 32;

export const MASK_COMMAND = 25;
export const MASK_ERROR = 26;
export const MASK_COUNT = 27;
export const MASK_DIRECTIVES = 28;
export const MASK_DIRECTIVE_BYTES = 8;

export const RESERVE_COMMAND = 24;
export const RESERVE_COUNT = 25;
export const RESERVE_MACS = 26;

export const MAC_BYTES = 6;
export const ETHERNET_HEADER_BYTES = 14;
/** Shortest Ethernet frame without its check sequence. veth does not pad, so senders pad; receivers never ask for it. */
export const FRAME_BYTES_MIN = 60;
/** Of an interface's MTU, AoE and ATA headers take this much; the rest is data. */
export const MTU_OVERHEAD_BYTES = ATA_DATA - ETHERNET_HEADER_BYTES;
