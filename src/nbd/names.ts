import * as nbd from './constants.ts';

/** Names of protocol numbers, for logs and messages. Total: a number without a name is shown as a number. */

const COMMANDS = new Map<number, string>([
  [nbd.COMMAND_READ, 'read'],
  [nbd.COMMAND_WRITE, 'write'],
  [nbd.COMMAND_DISCONNECT, 'disconnect'],
  [nbd.COMMAND_FLUSH, 'flush'],
  [nbd.COMMAND_TRIM, 'trim'],
  [nbd.COMMAND_CACHE, 'cache'],
  [nbd.COMMAND_WRITE_ZEROES, 'write zeroes'],
  [nbd.COMMAND_BLOCK_STATUS, 'block status'],
]);

const OPTIONS = new Map<number, string>([
  [nbd.OPTION_EXPORT_NAME, 'EXPORT_NAME'],
  [nbd.OPTION_ABORT, 'ABORT'],
  [nbd.OPTION_LIST, 'LIST'],
  [nbd.OPTION_STARTTLS, 'STARTTLS'],
  [nbd.OPTION_INFO, 'INFO'],
  [nbd.OPTION_GO, 'GO'],
  [nbd.OPTION_STRUCTURED_REPLY, 'STRUCTURED_REPLY'],
  [nbd.OPTION_LIST_META_CONTEXT, 'LIST_META_CONTEXT'],
  [nbd.OPTION_SET_META_CONTEXT, 'SET_META_CONTEXT'],
  [nbd.OPTION_EXTENDED_HEADERS, 'EXTENDED_HEADERS'],
]);

const ERRORS = new Map<number, string>([
  [nbd.NBD_OK, 'OK'],
  [nbd.NBD_EPERM, 'EPERM'],
  [nbd.NBD_EIO, 'EIO'],
  [nbd.NBD_ENOMEM, 'ENOMEM'],
  [nbd.NBD_EINVAL, 'EINVAL'],
  [nbd.NBD_ENOSPC, 'ENOSPC'],
  [nbd.NBD_EOVERFLOW, 'EOVERFLOW'],
  [nbd.NBD_ENOTSUP, 'ENOTSUP'],
  [nbd.NBD_ESHUTDOWN, 'ESHUTDOWN'],
]);

export function commandName(command: number): string {
  return COMMANDS.get(command) ?? `command ${command}`;
}

export function optionName(option: number): string {
  return OPTIONS.get(option) ?? `option ${option}`;
}

export function errorName(error: number): string {
  return ERRORS.get(error) ?? `error ${error}`;
}
