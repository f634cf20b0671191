import { execFile } from 'node:child_process';
import { waitUntil } from '../../system/waiting.ts';
import { isReadOnly } from './nbd-sysfs.ts';

const ANSWER_MS = 10_000;

/**
 * Makes sure that a device that was made for writing can be written to. Who had its index before may have set it read-only (qemu-nbd
 * does), which the driver does not undo. In a process of its own: whoever serves a device must not open it.
 */
export async function allowWrites(index: number, path: string): Promise<boolean> {
  if (!isReadOnly(index)) return true;
  execFile('blockdev', ['--setrw', path], () => undefined).unref();
  return waitUntil(() => !isReadOnly(index), ANSWER_MS);
}
