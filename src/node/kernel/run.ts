import { spawn } from 'node:child_process';
import { findProgram, ProgramError } from '../../system/programs.ts';

/** How a program ended. */
export interface Ended {
  /** Exit code; 128 + the signal's number when a signal ended it, as shells have it. */
  readonly code: number;
  readonly stdout: Buffer;
  /** Its last words, for messages. */
  readonly stderr: string;
}

export interface RunOptions {
  /** After so long it is killed. */
  readonly timeoutMs: number;
  /** Told every few seconds how long it has been running. */
  readonly onProgress?: (seconds: number) => void;
  /** What it reads from its standard input; nothing by default. */
  readonly input?: Buffer;
}

const STDOUT_BYTES_MAX = 16 * 1024 * 1024;
const STDERR_CHARACTERS_MAX = 4_096;
const PROGRESS_MS = 5_000;
/** A process that is waiting for a device dies only when the device answers. */
const KILLED_MS = 1_000;
const SIGNAL_BASE = 128;
const SIGKILL = 9;

/**
 * Runs a program to its end, whatever its exit code. Unlike system/programs.ts it returns at the deadline even if the program can't
 * be killed because the kernel waits for a disk on its behalf: such a process is left behind. A program that is missing ends with 127.
 *
 * @throws ProgramError when it can't be started, has not ended in time, or says more than anybody wants to read
 */
export async function run(name: string, args: readonly string[], { timeoutMs, onProgress, input }: RunOptions): Promise<Ended> {
  const command = [name, ...args].join(' ');
  const startedMs = performance.now();
  // Nothing that we have started outlives us: the device that it works on may be another volume's when it gets there.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', findProgram(name) ?? name, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  // Who ends without having read it says why by its exit code.
  child.stdin.on('error', () => undefined).end(input);
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stderr = '';
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const refuse = (reason: string): void => reject(new ProgramError(`\`${command}\` failed: ${reason}`));
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= STDOUT_BYTES_MAX) chunks.push(chunk);
    else child.kill('SIGKILL');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARACTERS_MAX);
  });
  child.on('error', (error) => refuse(error.message));
  child.on('close', (code) => {
    if (bytes > STDOUT_BYTES_MAX) refuse(`it printed more than ${STDOUT_BYTES_MAX} bytes`);
    else resolve({ code: code ?? SIGNAL_BASE + SIGKILL, stdout: Buffer.concat(chunks), stderr: stderr.trim() });
  });
  const progress = setInterval(() => onProgress?.(Math.round((performance.now() - startedMs) / 1000)), PROGRESS_MS);
  let abandoned: NodeJS.Timeout | undefined;
  const deadline = setTimeout(() => {
    child.kill('SIGKILL');
    const reason = `no end after ${timeoutMs / 1000} s`;
    child.removeAllListeners('close');
    child.once('close', () => refuse(`${reason}; it was killed`));
    abandoned = setTimeout(() => {
      child.unref();
      refuse(`${reason}; process ${String(child.pid)} waits for a device and could not be killed`);
    }, KILLED_MS);
  }, timeoutMs);
  try {
    return await promise;
  } finally {
    clearInterval(progress);
    clearTimeout(deadline);
    clearTimeout(abandoned);
  }
}

/** Runs a program that has to end well. @throws ProgramError with what it said */
export async function runWell(name: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const ended = await run(name, args, options);
  if (ended.code === 0) return ended;
  const said = ended.stderr === '' ? ended.stdout.toString('utf8').trim() : ended.stderr;
  throw new ProgramError(`\`${[name, ...args].join(' ')}\` failed with exit code ${ended.code}: ${said}`);
}
