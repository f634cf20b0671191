import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** /usr/sbin and /sbin hold what root runs, also where a service's PATH lacks them. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** A program that could not be run, took too long or ended with a failure. The message holds what it said. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
}

/** Full path of a program; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/**
 * Runs a program to its end and returns what it printed.
 * @throws ProgramError with what the program said, also when it takes longer than `timeoutMs`
 */
export async function runProgram(name: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(findProgram(name) ?? name, args, { timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const reason = error.killed === true ? `no end after ${timeoutMs / 1000} s` : stderr.trim() || error.message;
      reject(new ProgramError(`\`${[name, ...args].join(' ')}\` failed: ${reason}`));
    });
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
