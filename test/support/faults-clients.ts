import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FIO_MS = 15_000;

/** What a test looks at of fio's report. */
export interface FioResult {
  /** errno of the first error, 0 for none: also of a read whose content was wrong. */
  readonly error: number;
  readonly reads: number;
  readonly writes: number;
  readonly slowestMs: number;
  /** What it said besides. */
  readonly text: string;
}

interface FioDirection {
  readonly total_ios: number;
  readonly clat_ns: { readonly max: number };
}

/**
 * Random reads and writes of many sizes, each block read back and its checksum verified. Overlapping requests wait for each other:
 * NBD promises no order between two that are in flight together, and a lost frame changes it, so fio would find fault with its own.
 */
export async function fioVerify(uri: string, folder: string, ...words: string[]): Promise<FioResult> {
  return runFio(['--ioengine=nbd', `--uri=${uri}`, ...words], folder, FIO_MS);
}

/** fioVerify on what `words` say. A client that hangs is a finding: what it said until `timeoutMs` is worth more than no end. */
export async function runFio(words: readonly string[], folder: string, timeoutMs: number): Promise<FioResult> {
  const job = ['--name=verify', '--rw=randrw', '--bsrange=4k-128k', '--iodepth=16', '--size=48m', '--serialize_overlap=1'];
  const check = ['--verify=crc32c', '--verify_backlog=64', '--verify_fatal=1', '--verify_state_save=0'];
  const { stdout, stderr } = await run('fio', [...job, ...check, '--output-format=json', ...words], {
    cwd: folder,
    maxBuffer: 1 << 24,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  }).catch((failure: { stdout: string; stderr: string }) => failure);
  const start = stdout.indexOf('{');
  const text = (stdout.slice(0, Math.max(start, 0)) + stderr).replaceAll('fio: connected to NBD server\n', '');
  if (start < 0) throw new Error(`fio said no result: ${text}`);
  const [result] = JSON.parse(stdout.slice(start)).jobs as { error: number; read: FioDirection; write: FioDirection }[];
  const { read, write, error } = result;
  const slowestMs = Math.max(read.clat_ns.max, write.clat_ns.max) / 1e6;
  return { error, reads: read.total_ios, writes: write.total_ios, slowestMs, text };
}

/** fioVerify for so many seconds. */
export async function fioVerifyFor(seconds: number, uri: string, folder: string, ...words: string[]): Promise<FioResult> {
  return fioVerify(uri, folder, '--time_based', `--runtime=${String(seconds)}`, ...words);
}

/** Runs a program to its end; its exit code and all that it said. */
export async function runProgram(name: string, ...words: string[]): Promise<{ code: number; text: string }> {
  try {
    const { stdout, stderr } = await run(name, words, { timeout: 15_000, maxBuffer: 1 << 24 });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}
