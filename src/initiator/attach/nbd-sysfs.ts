import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceError } from './backend.ts';

/**
 * What sysfs tells of the kernel's NBD devices without waiting for anything: nothing here opens a device, and none of it is its queue's
 * (nbd-queues.ts). Whatever reads throws DeviceError when it can't (no descriptor or memory is left): then nobody knows how things stand.
 */

const BLOCK_DEVICES = '/sys/block';
const SYSFS_SECTOR_BYTES = 512;
/** What sysfs answers when a device is gone, or goes in the middle of the question. Anything else says nothing about the device. */
const GONE: readonly string[] = ['ENOENT', 'ENODEV'];

export interface NbdDevice {
  /** N of /dev/nbdN */
  readonly index: number;
  /** What was given at CONNECT; '' when nothing was. */
  readonly identifier: string;
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

export function isReadOnly(index: number): boolean {
  return textOf(`nbd${index}`, 'ro') === '1';
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
