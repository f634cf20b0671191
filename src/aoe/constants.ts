/** Numbers of the AoE protocol (AoEr11) and of the ATA commands it carries. Wire facts only; see names.ts for their names. */

/** IEEE-assigned EtherType of ATA over Ethernet. */
export const ETHERTYPE_AOE = 0x88a2;
export const AOE_VERSION = 1;

/** Flag bits in the low nibble of the version/flags byte (AoEr11 §2). */
export const FLAG_RESPONSE = 0x08;
export const FLAG_ERROR = 0x04;

/** First byte after the EtherType, as sent: version 1 in the high nibble, flags in the low one. */
export const VERSION_FLAGS_REQUEST = AOE_VERSION << 4;
export const VERSION_FLAGS_RESPONSE = (AOE_VERSION << 4) | FLAG_RESPONSE;
export const VERSION_FLAGS_ERROR = (AOE_VERSION << 4) | FLAG_RESPONSE | FLAG_ERROR;

/** AoE commands (AoEr11 §3). */
export const COMMAND_ATA = 0;
export const COMMAND_CONFIG = 1;
export const COMMAND_MASK = 2;
export const COMMAND_RESERVE = 3;

/** AoE error codes, valid when FLAG_ERROR is set (AoEr11 §2.4). */
export const AOE_ERROR_BAD_COMMAND = 1;
export const AOE_ERROR_BAD_ARGUMENT = 2;
export const AOE_ERROR_DEVICE_UNAVAILABLE = 3;
export const AOE_ERROR_CONFIG_PRESENT = 4;
export const AOE_ERROR_BAD_VERSION = 5;
export const AOE_ERROR_RESERVED = 6;

/** Wildcard addresses. They are independent of each other; never send ATA commands to them. */
export const SHELF_BROADCAST = 0xffff;
export const SLOT_BROADCAST = 0xff;
/** Highest addresses a target may use. The Linux driver refuses shelf 0xfff as "dip switches": a warning for us, not an error. */
export const SHELF_MAX = 0xfffe;
export const SLOT_MAX = 0xfe;

/** Query-config sub-commands (AoEr11 §3.2). */
export const CONFIG_READ = 0;
export const CONFIG_TEST = 1;
export const CONFIG_TEST_PREFIX = 2;
export const CONFIG_SET = 3;
export const CONFIG_FORCE_SET = 4;
export const CONFIG_STRING_BYTES_MAX = 1024;
/** A Sector Count of 0 in a config response comes from targets older than jumbo frames and means this many. */
export const SECTORS_PER_FRAME_LEGACY = 2;

/** MAC mask list (AoEr11 §3.3). */
export const MASK_READ = 0;
export const MASK_EDIT = 1;
export const MASK_DIRECTIVE_NONE = 0;
export const MASK_DIRECTIVE_ADD = 1;
export const MASK_DIRECTIVE_DELETE = 2;
export const MASK_ERROR_UNSPECIFIED = 1;
export const MASK_ERROR_BAD_DIRECTIVE = 2;
export const MASK_ERROR_FULL = 3;
export const MASK_ENTRIES_MAX = 255;

/** Reserve/release (AoEr11 §3.4, new in r11). */
export const RESERVE_READ = 0;
export const RESERVE_SET = 1;
export const RESERVE_FORCE_SET = 2;
export const RESERVE_ENTRIES_MAX = 255;

/** ATA argument flags (AoEr11 §3.1). */
export const ATA_FLAG_WRITE = 0x01;
export const ATA_FLAG_ASYNC = 0x02;
export const ATA_FLAG_DEVICE = 0x10;
export const ATA_FLAG_EXTENDED = 0x40;

/** ATA opcodes that an initiator sends or a target answers. */
export const ATA_DATA_SET_MANAGEMENT = 0x06;
export const ATA_READ = 0x20;
export const ATA_READ_EXT = 0x24;
export const ATA_WRITE = 0x30;
export const ATA_WRITE_EXT = 0x34;
export const ATA_CHECK_POWER_MODE = 0xe5;
export const ATA_FLUSH = 0xe7;
export const ATA_FLUSH_EXT = 0xea;
export const ATA_IDENTIFY = 0xec;
/** Feature register of DATA SET MANAGEMENT: trim. */
export const ATA_FEATURE_TRIM = 0x01;
/** A 512-byte DATA SET MANAGEMENT block holds 64 ranges of 48-bit LBA and 16-bit sector count. */
export const TRIM_RANGES_MAX = 64;
export const TRIM_RANGE_SECTORS_MAX = 0xffff;

/** ATA status register. */
export const ATA_STATUS_BSY = 0x80;
export const ATA_STATUS_DRDY = 0x40;
export const ATA_STATUS_DF = 0x20;
export const ATA_STATUS_DRQ = 0x08;
export const ATA_STATUS_ERR = 0x01;
/** A response failed when any of these is set. DRDY is not asked for: vblade's flush answers with status 0. */
export const ATA_STATUS_FAILURE = ATA_STATUS_BSY | ATA_STATUS_DF | ATA_STATUS_DRQ | ATA_STATUS_ERR;

/** ATA error register, valid only when ATA_STATUS_ERR is set. */
export const ATA_ERROR_ABRT = 0x04;
export const ATA_ERROR_IDNF = 0x10;
export const ATA_ERROR_UNC = 0x40;

/** The addressable unit is always this, whatever the disk's physical sector. */
export const SECTOR_BYTES = 512;
/** Sectors beyond 48-bit LBA or 28-bit LBA cannot be named. */
export const LBA48_SECTORS_MAX = 2 ** 48;
export const LBA28_SECTORS_MAX = 2 ** 28;
/** LBA28 requests carry 0xE0 (LBA mode and the obsolete always-one bits) in the high nibble of byte lba3. */
export const LBA28_DEVICE_BITS = 0xe0;

/** Bit 31 of a tag tells user-space initiators from the Linux driver, which keeps it clear. */
export const TAG_USER_SPACE = 0x80000000;
