import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runProgram } from '../../system/programs.ts';
import { waitUntil } from '../../system/waiting.ts';

const SECTOR_BYTES = 512;
const LOSETUP_MS = 10_000;
const UNBIND_MS = 5_000;
const BLOCK_DEVICES = '/sys/block';

/**
 * Makes a loop device of a file and returns its path. The file's bytes go past the page cache where its file system can do that:
 * they are cached once already, above the loop device.
 *
 * @param partitions whether the kernel looks for them
 * @throws ProgramError with what losetup said
 */
export async function bindLoopDevice(file: string, readOnly: boolean, partitions = false): Promise<string> {
  const wishes = [...(readOnly ? ['--read-only'] : []), ...(partitions ? ['--partscan'] : [])];
  const args = ['--find', '--show', '--sector-size', String(SECTOR_BYTES), ...wishes, file];
  let printed: string;
  try {
    printed = await runProgram('losetup', ['--direct-io=on', ...args], LOSETUP_MS);
  } catch {
    printed = await runProgram('losetup', args, LOSETUP_MS);
  }
  return printed.trim();
}

/**
 * Lets go of the file. While somebody has the device open, the kernel puts that off until the last user has gone.
 * @param wait for somebody who only looks, as udev does at every new device
 * @returns whether it is done
 */
export async function unbindLoopDevice(device: string, wait: boolean): Promise<boolean> {
  if (!isBound(device)) return true;
  const file = backingFile(basename(device));
  await runProgram('losetup', ['--detach', device], LOSETUP_MS);
  // With another file it is somebody else's by now, who took its number.
  return waitUntil(() => !isBound(device) || backingFile(basename(device)) !== file, wait ? UNBIND_MS : 0);
}

/** Loop devices whose file lies in `folder`. */
export function loopDevicesOf(folder: string): string[] {
  return readdirSync(BLOCK_DEVICES)
    .filter((name) => name.startsWith('loop') && backingFile(name)?.startsWith(`${folder}/`) === true)
    .map((name) => join('/dev', name));
}

function isBound(device: string): boolean {
  return existsSync(join(BLOCK_DEVICES, basename(device), 'loop'));
}

function backingFile(name: string): string | undefined {
  try {
    return readFileSync(join(BLOCK_DEVICES, name, 'loop/backing_file'), 'utf8').trim();
  } catch {
    return undefined;
  }
}
