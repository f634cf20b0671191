import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceError } from './backend.ts';

/**
 * What sysfs tells of the kernel's NBD devices, and takes. Nothing here opens a device. Whatever reads throws DeviceError when it can't
 * (no descriptor or memory is left): then nobody knows how things stand.
 */

const BLOCK_DEVICES = '/sys/block';
const SYSFS_SECTOR_BYTES = 512;
const WRITE_MS = 5_000;
/** What sysfs answers when a device is gone, or goes in the middle of the question. Anything else says nothing about the device. */
const GONE: readonly string[] = ['ENOENT', 'ENODEV'];

export interface NbdDevice {
  /** N of /dev/nbdN */
  readonly index: number;
  /** What was given at CONNECT; '' when nothing was. */
  readonly identifier: string;
}

/** How a device is set, beside what CONNECT sets. */
export interface NbdTuning {
  /** How soon the kernel sees that a request was sent over a socket that has been replaced since, and sends it again. */
  readonly ioTimeoutMs: number;
  /** The largest read or write that is sent as one. */
  readonly requestBytesMax: number;
  readonly discardBytesMax: number;
  /** Share of the memory for unwritten data that this device's may take, in percent: a dead target must not stop other disks. */
  readonly dirtyPercentMax: number;
}

/** The devices that are connected to anybody, or whose users have not gone yet. */
export function nbdDevices(): NbdDevice[] {
  return readdirSync(BLOCK_DEVICES).flatMap((name) => {
    const index = /^nbd(\d+)$/.exec(name)?.[1];
    const identifier = index === undefined ? undefined : textOf(name, 'backend');
    return index === undefined || identifier === undefined ? [] : [{ index: Number(index), identifier }];
  });
}

/** The identifier of a device; undefined when it is free. */
export function identifierOf(index: number): string | undefined {
  return textOf(`nbd${index}`, 'backend');
}

export function sizeBytesOf(index: number): number {
  return Number(textOf(`nbd${index}`, 'size') ?? 0) * SYSFS_SECTOR_BYTES;
}

/** How long the kernel waits for a request; NaN when the device is gone. */
export function ioTimeoutMsOf(index: number): number {
  return Number(textOf(`nbd${index}`, 'queue/io_timeout') ?? NaN);
}

export function isReadOnly(index: number): boolean {
  return textOf(`nbd${index}`, 'ro') === '1';
}

/**
 * Sets what is not set yet of a device. Only the timeout is worth failing for: without it a reconnected device stands still for half a minute.
 * Some of these wait until no request is under way.
 * @returns what could not be set, a sentence each
 * @throws Error when the timeout can't be set
 */
export async function tune(index: number, tuning: NbdTuning): Promise<string[]> {
  await setIoTimeout(index, tuning.ioTimeoutMs);
  const queue = join(BLOCK_DEVICES, `nbd${index}`, 'queue');
  const settings: [path: string, value: number | string][] = [
    [join(queue, 'scheduler'), 'none'],
    [join(queue, 'max_sectors_kb'), Math.floor(tuning.requestBytesMax / 1024)],
    ...(Number(textOf(`nbd${index}`, 'queue/discard_max_hw_bytes') ?? 0) > 0
      ? [[join(queue, 'discard_max_bytes'), tuning.discardBytesMax] satisfies [string, number]]
      : []),
    [join(BLOCK_DEVICES, `nbd${index}`, 'bdi/max_ratio'), tuning.dirtyPercentMax],
  ];
  const problems: string[] = [];
  for (const [path, value] of settings) {
    try {
      await set(path, value);
    } catch (error) {
      problems.push(`${path} could not be set to ${value}: ${(error as Error).message}`);
    }
  }
  return problems;
}

/** @throws Error */
export async function setIoTimeout(index: number, timeoutMs: number): Promise<void> {
  await set(join(BLOCK_DEVICES, `nbd${index}`, 'queue/io_timeout'), timeoutMs);
}

/** Lists of possible values have the present one in brackets. */
function isSet(path: string, value: number | string): boolean {
  try {
    const present = readFileSync(path, 'utf8').trim();
    return (/\[(.*)\]/.exec(present)?.[1] ?? present) === String(value);
  } catch {
    return false;
  }
}

/** Without a limit in time a device whose target has just died would keep its attach for ever. */
async function set(path: string, value: number | string): Promise<void> {
  if (isSet(path, value)) return;
  const late = new AbortController();
  const timeout = sleep(WRITE_MS, undefined, { ref: false, signal: late.signal }).then(() => {
    throw new Error(`the kernel has not taken it after ${WRITE_MS / 1000} s`);
  });
  try {
    await Promise.race([writeFile(path, String(value), { flag: 'r+' }), timeout]);
  } finally {
    late.abort();
    timeout.catch(() => undefined);
  }
}

/** Undefined when the device is gone, or has no such attribute. @throws DeviceError */
function textOf(device: string, attribute: string): string | undefined {
  const path = join(BLOCK_DEVICES, device, attribute);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string };
    if (GONE.includes(code)) return undefined;
    throw new DeviceError('unavailable', `${path} can't be read: ${message}`);
  }
}
