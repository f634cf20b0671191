import { spawn } from 'node:child_process';
import type { ByteProgress } from './checked-files.ts';

/** The descriptor on which nbdcopy tells how far it is. */
const PROGRESS_FD = 3;

/**
 * Copies between a file and an NBD server, and makes durable what was written.
 * @throws Error with what nbdcopy said
 */
export async function nbdcopy(from: string, to: string, sizeBytes: number, progress: ByteProgress): Promise<void> {
  const args = [`--progress=${PROGRESS_FD}`, '--flush', from, to];
  const child = spawn('nbdcopy', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdio[PROGRESS_FD]?.on('data', (lines: Buffer) => {
    const percent = /(\d+)\/100\s*$/.exec(lines.toString())?.[1];
    if (percent !== undefined) progress((Number(percent) / 100) * sizeBytes);
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`nbdcopy failed: ${errors.trim()}`));
    });
  });
}
