/**
 * Total maps from the numbers of constants.ts to names, so that no log line and no error message shows a bare number.
 * A number nobody has named prints as `unknown <what> 0x..`.
 */
import {
  AOE_ERROR_BAD_ARGUMENT,
  AOE_ERROR_BAD_COMMAND,
  AOE_ERROR_BAD_VERSION,
  AOE_ERROR_CONFIG_PRESENT,
  AOE_ERROR_DEVICE_UNAVAILABLE,
  AOE_ERROR_RESERVED,
  ATA_CHECK_POWER_MODE,
  ATA_DATA_SET_MANAGEMENT,
  ATA_ERROR_ABRT,
  ATA_FLUSH,
  ATA_FLUSH_EXT,
  ATA_IDENTIFY,
  ATA_READ,
  ATA_READ_EXT,
  ATA_STATUS_ERR,
  ATA_WRITE,
  ATA_WRITE_EXT,
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_MASK,
  COMMAND_RESERVE,
  CONFIG_FORCE_SET,
  CONFIG_READ,
  CONFIG_SET,
  CONFIG_TEST,
  CONFIG_TEST_PREFIX,
  MASK_DIRECTIVE_ADD,
  MASK_DIRECTIVE_DELETE,
  MASK_DIRECTIVE_NONE,
  MASK_ERROR_BAD_DIRECTIVE,
  MASK_ERROR_FULL,
  MASK_ERROR_UNSPECIFIED,
  RESERVE_FORCE_SET,
  RESERVE_READ,
  RESERVE_SET,
} from './constants.ts';

type Names = Readonly<Record<number, string>>;

const COMMANDS: Names = {
  [COMMAND_ATA]: 'ATA',
  [COMMAND_CONFIG]: 'query config',
  [COMMAND_MASK]: 'MAC mask list',
  [COMMAND_RESERVE]: 'reserve/release',
};

const AOE_ERRORS: Names = {
  [AOE_ERROR_BAD_COMMAND]: 'unrecognized command code',
  [AOE_ERROR_BAD_ARGUMENT]: 'bad argument parameter',
  [AOE_ERROR_DEVICE_UNAVAILABLE]: 'device unavailable',
  [AOE_ERROR_CONFIG_PRESENT]: 'config string present',
  [AOE_ERROR_BAD_VERSION]: 'unsupported version',
  [AOE_ERROR_RESERVED]: 'target is reserved',
};

const ATA_COMMANDS: Names = {
  [ATA_DATA_SET_MANAGEMENT]: 'DATA SET MANAGEMENT',
  [ATA_READ]: 'READ SECTORS',
  [ATA_READ_EXT]: 'READ SECTORS EXT',
  [ATA_WRITE]: 'WRITE SECTORS',
  [ATA_WRITE_EXT]: 'WRITE SECTORS EXT',
  0xb0: 'SMART',
  [ATA_CHECK_POWER_MODE]: 'CHECK POWER MODE',
  [ATA_FLUSH]: 'FLUSH CACHE',
  [ATA_FLUSH_EXT]: 'FLUSH CACHE EXT',
  [ATA_IDENTIFY]: 'IDENTIFY DEVICE',
};

const CONFIG_COMMANDS: Names = {
  [CONFIG_READ]: 'read',
  [CONFIG_TEST]: 'test',
  [CONFIG_TEST_PREFIX]: 'test prefix',
  [CONFIG_SET]: 'set',
  [CONFIG_FORCE_SET]: 'force set',
};

const MASK_ERRORS: Names = {
  [MASK_ERROR_UNSPECIFIED]: 'unspecified error',
  [MASK_ERROR_BAD_DIRECTIVE]: 'bad directive',
  [MASK_ERROR_FULL]: 'mask list full',
};

const MASK_DIRECTIVES: Names = {
  [MASK_DIRECTIVE_NONE]: 'none',
  [MASK_DIRECTIVE_ADD]: 'add',
  [MASK_DIRECTIVE_DELETE]: 'delete',
};

const RESERVE_COMMANDS: Names = {
  [RESERVE_READ]: 'read',
  [RESERVE_SET]: 'set',
  [RESERVE_FORCE_SET]: 'force set',
};

/** Bits of the ATA status register, bit 7 first. */
const STATUS_BITS = ['BSY', 'DRDY', 'DF', 'SERV', 'DRQ', 'CORR', 'SENSE', 'ERR'] as const;
/** Bits of the ATA error register, bit 7 first. */
const ERROR_BITS = ['ICRC', 'UNC', 'MC', 'IDNF', 'MCR', 'ABRT', 'NM', 'AMNF'] as const;

/** `0x` and at least two hex digits. */
export function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

function nameIn(names: Names, value: number, what: string): string {
  return names[value] ?? `unknown ${what} ${hex(value)}`;
}

function bitNames(bits: readonly string[], value: number): string {
  return bits.filter((_, index) => (value & (0x80 >> index)) !== 0).join('|');
}

/** Name of an AoE command (byte 19 of the frame). */
export function commandName(command: number): string {
  return nameIn(COMMANDS, command, 'command');
}

/** Name of an AoE error code (byte 15, valid when the E flag is set). */
export function aoeErrorName(code: number): string {
  return nameIn(AOE_ERRORS, code, 'AoE error');
}

/** Name of an ATA opcode. */
export function ataCommandName(opcode: number): string {
  return nameIn(ATA_COMMANDS, opcode, 'ATA command');
}

export function configCommandName(command: number): string {
  return nameIn(CONFIG_COMMANDS, command, 'config command');
}

export function maskErrorName(code: number): string {
  return nameIn(MASK_ERRORS, code, 'mask error');
}

export function maskDirectiveName(directive: number): string {
  return nameIn(MASK_DIRECTIVES, directive, 'mask directive');
}

export function reserveCommandName(command: number): string {
  return nameIn(RESERVE_COMMANDS, command, 'reserve command');
}

/**
 * Both registers of an ATA answer in words, e.g. `status 0x41 (DRDY|ERR), error 0x10 (IDNF)`. The error register is left
 * out unless the status has ERR: otherwise it is somebody's old byte.
 */
export function ataStatusText(status: number, error: number): string {
  const bits = bitNames(STATUS_BITS, status);
  const text = bits === '' ? `status ${hex(status)}` : `status ${hex(status)} (${bits})`;
  if ((status & ATA_STATUS_ERR) === 0) return text;
  const errors = bitNames(ERROR_BITS, error);
  const hint = error === ATA_ERROR_ABRT ? ': the command was refused' : '';
  return `${text}, error ${hex(error)}${errors === '' ? '' : ` (${errors})`}${hint}`;
}
