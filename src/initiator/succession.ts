import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import type { RpcError } from '../rpc/status.ts';
import { Initiator } from './daemon.ts';
import { RunDirectory } from './run-directory.ts';
import type { InitiatorOptions } from './works.ts';

/** Pause before it is asked for again, doubled up to the longest. */
const RETRY_FIRST_MS = 2_000;
const RETRY_LONGEST_MS = 30_000;
const LOOK_MS = 500;

/**
 * Starts an initiator where another one may run with the same run directory: takes its devices over while they are in use, or, where
 * that can't be, waits until it has ended and takes them up then. Goes on for as long as that takes.
 * @returns undefined when `signal` was aborted before
 * @throws as Initiator.start does, when no other one runs
 */
export async function succeed(
  options: InitiatorOptions,
  logger: Logger,
  failed: (error: Error) => void,
  signal: AbortSignal,
): Promise<Initiator | undefined> {
  const directory = new RunDirectory(options.runDirectory);
  let told = '';
  for (let pauseMs = RETRY_FIRST_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, RETRY_LONGEST_MS)) {
    const isAlone = directory.isFree();
    try {
      if (isAlone) return await Initiator.start(options, logger, failed);
      return await Initiator.replace(options, logger, failed, signal);
    } catch (error) {
      if (signal.aborted) break;
      // Two that start together: one of them wins, and is the one to be asked.
      if (isAlone && directory.isFree()) throw error;
      const text = `another initiator runs with ${directory.path} and has not handed its devices over: ${explain(error as Error)}`;
      if (text !== told) logger.warn(`${text}; tries again, or takes them up when it has ended`);
      told = text;
    }
    await vacancy(directory, AbortSignal.any([signal, AbortSignal.timeout(pauseMs)]));
  }
  return undefined;
}

/** Waits until no initiator has the run directory. @returns false when `signal` was aborted before */
export async function vacancy(directory: RunDirectory, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (directory.isFree()) return true;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

function explain(error: Error): string {
  const { code } = error as Partial<RpcError>;
  if (code === 'UNIMPLEMENTED') return 'it is of a version that can not';
  if (code === 'UNAVAILABLE') return `it does not answer (${error.message})`;
  return error.message;
}
