import { InvalidArgumentError, Option } from 'commander';
import { AddressError, parseTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { LOG_LEVELS } from '../logging/logger.ts';

/** Where the initiator and its clients meet, unless told otherwise. */
export const RUN_DIRECTORY_DEFAULT = '/run/aoe-csi';
export const SOCKET_DEFAULT = `${RUN_DIRECTORY_DEFAULT}/initiator.sock`;
/** Where the node plugin serves CSI; the controller has no such place. */
export const CSI_ENDPOINT_DEFAULT = `${RUN_DIRECTORY_DEFAULT}/csi/csi.sock`;

/** Options that more than one command has. Each can also be given in the environment. */
export function socketOption(): Option {
  return new Option('--socket <path>', 'unix socket of the initiator').env('AOE_CSI_SOCKET').default(SOCKET_DEFAULT);
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON for programs instead of text for people').default(false);
}

export function timeoutOption(what: string, seconds: number): Option {
  return new Option('--timeout <seconds>', what).env('AOE_CSI_TIMEOUT').argParser(parseSeconds).default(seconds);
}

export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'how much to log').env('AOE_CSI_LOG_LEVEL').choices(LOG_LEVELS).default('info');
}

/** An address is only refused when it is listened on. */
export function metricsOption(): Option {
  return new Option('--metrics <address>', 'serve metrics over HTTP there, e.g. :9810 (default: nowhere)').env('AOE_CSI_METRICS');
}

/** `eth1,eth2`, and the option again: all of them. */
export function interfacesOption(description: string): Option {
  return new Option('--interfaces <names>', description)
    .env('AOE_CSI_INTERFACES')
    .argParser((text: string, before: readonly string[]) => [...before, ...splitNames(text)])
    .default([], 'none');
}

export function splitNames(text: string): string[] {
  return text.split(/[\s,]+/).filter((name) => name !== '');
}

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0)
    throw new InvalidArgumentError('Give seconds, for example 30.');
  return seconds;
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count === 0)
    throw new InvalidArgumentError('Give a whole number from 1.');
  return count;
}

/** The argument `e10.3`. */
export function parseTarget(text: string): TargetAddress {
  try {
    return parseTargetAddress(text);
  } catch (error) {
    throw (error as Error).name === AddressError.name || error instanceof AddressError
      ? new InvalidArgumentError((error as Error).message)
      : error;
  }
}
