import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { Refusal } from './common.js';

/** Runs a preparing command to its end. Its output is shown only when it fails. */
export function runQuietly(file, args, environment = {}) {
  const result = spawnSync(file, args, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  });
  const commandLine = [file, ...args].join(' ');
  if (result.error) throw new Refusal(`cannot run \`${commandLine}\`: ${result.error.message}`);
  if (result.status !== 0) {
    throw new Refusal(`\`${commandLine}\` failed with ${result.signal ?? result.status}:\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/** Whether a program exists in PATH and answers with success. */
export function succeeds(file, args) {
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

/**
 * Runs the job itself on this terminal. Ctrl-C reaches the job from the terminal and SIGTERM is passed on; either way this process
 * waits, so that the job can remove what it made before the shell's prompt comes back.
 *
 * @param command `{ file, args, environment }`
 * @returns the job's exit code, 128 + n for signal n as shells have it
 */
export function runInForeground({ file, args, environment = {} }) {
  return new Promise((resolve, reject) => {
    const job = spawn(file, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
    process.on('SIGINT', () => {});
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => job.kill(signal));
    job.on('error', (error) => reject(new Refusal(`cannot run ${file}: ${error.message}`)));
    job.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}
