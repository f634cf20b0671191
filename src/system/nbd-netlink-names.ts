import * as nbd from './nbd-netlink-constants.ts';

/** Names of the kernel NBD driver's commands, for messages. Total: an unknown one is shown as its number. */

const COMMANDS = new Map<number, string>([
  [nbd.NBD_CMD_CONNECT, 'CONNECT'],
  [nbd.NBD_CMD_DISCONNECT, 'DISCONNECT'],
  [nbd.NBD_CMD_RECONFIGURE, 'RECONFIGURE'],
  [nbd.NBD_CMD_LINK_DEAD, 'LINK_DEAD'],
  [nbd.NBD_CMD_STATUS, 'STATUS'],
]);

export function nbdCommandName(command: number): string {
  return `NBD_CMD_${COMMANDS.get(command) ?? String(command)}`;
}
